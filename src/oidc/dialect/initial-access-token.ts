/** Initial access tokens stand in the operator's file; the engine keeps them in its store. */
import { timingSafeEqual } from 'node:crypto'
import type { Provider } from 'oidc-provider'
import { hashSecret } from './context.ts'

export function initialAccessTokenOf(provider: Provider, tokens: readonly string[]) {
  const known = tokens.map((token) => Buffer.from(hashSecret(token)))
  const Base = provider.InitialAccessToken as unknown as new (payload: object) => object
  class InitialAccessToken extends Base {
    static async find(value: string): Promise<object | undefined> {
      const presented = Buffer.from(hashSecret(value))
      return known.some((token) => timingSafeEqual(token, presented)) ? new InitialAccessToken({}) : undefined
    }
  }
  return InitialAccessToken
}
