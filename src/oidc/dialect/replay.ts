/**
 * What may be used once (`jti` of assertions): the engine looks and then writes, so that two at the same moment both pass.
 * Here the mark is made at once and by compare-and-set; who comes second, on whichever replica, is told so.
 */
import type { Provider } from 'oidc-provider'
import type { StorageDriver } from '../../storage/contract.ts'
import { idOf } from '../ids.ts'

export type ReplayStore = Pick<StorageDriver, 'commit'>

export function replayDetectionOf(provider: Provider, store: ReplayStore) {
  const Base = provider.ReplayDetection as unknown as new (...args: never[]) => object
  class ReplayDetection extends Base {
    /** @param exp Unix seconds until which the mark is needed */
    static async unique(iss: string, jti: string, exp: number): Promise<boolean> {
      // An issuer cannot take the marks of another by moving letters from one to the other.
      const id = idOf(JSON.stringify([iss, jti]))
      const { ok } = await store.commit([
        { do: 'create', kind: 'replay', id, record: { expiresAt: Math.ceil(exp) + 1, index: {}, body: {} } },
      ])
      return ok
    }
  }
  return ReplayDetection
}
