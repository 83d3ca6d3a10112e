/** Pushed requests in the store: found by the hash of their id, good until a code was issued for them. */
import type { Unit } from '../storage/unit.ts'

export const pushedKind = 'pushed-request'

/** Marks are of several things. */
const markOf = (id: string): string => `pushed ${id}`

/** Whether a code was issued for it. */
export const wasUsed = async (unit: Unit, id: string): Promise<boolean> =>
  (await unit.get('replay', markOf(id))) !== undefined

/**
 * Uses it up, in the commit that issues the code: of several logins that one request began only one is finished. `until`
 * (Unix seconds) is when the last of them has run out.
 */
export function useUp(unit: Unit, id: string, until: number): void {
  unit.create('replay', markOf(id), { expiresAt: until, index: {}, body: {} })
  unit.delete(pushedKind, id)
}
