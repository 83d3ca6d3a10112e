/** Has the engine answer an authorization request whose person is known and has approved. */
import type { Context, Next } from 'koa'
import { codeLifetime } from './dialect/code.ts'
import { paths } from './discovery.ts'
import { idOf } from './ids.ts'
import { bringsCode, bringsTokens } from './response-types.ts'
import { type FinishedLogin, stateOf } from './state.ts'

/**
 * Goes to the engine's authorization endpoint from inside, whatever page of ours the browser is at: it checks the request
 * once more by its own rules, issues the code or the tokens and sends the browser to the client.
 * @param params as `judgeAuthorization` accepted them
 */
export async function issueAnswer(
  ctx: Context,
  next: Next,
  params: Record<string, string>,
  finished: FinishedLogin,
): Promise<void> {
  const state = stateOf(ctx)
  const { response_type: responseType = '', nonce } = params
  const { login, scopes, wanted, seed, sid } = finished
  state.finished = finished
  if (bringsTokens(responseType)) {
    state.source = {
      kind: 'implicit',
      login,
      scopes,
      ...(nonce !== undefined && { nonce }),
      ...(sid !== undefined && { sid }),
      ...(wanted && { wanted }),
    }
    // A code does this by its own id; kept as long as one, see adapter.ts.
    if (!bringsCode(responseType)) {
      const expiresAt = Math.floor(Date.now() / 1000) + codeLifetime
      state.unit.create('replay', idOf(`answer ${seed}`), { expiresAt, index: {}, body: {} })
    }
  }
  ctx.method = 'GET'
  const { resource, ...single } = params
  const query = new URLSearchParams(single)
  for (const each of resource?.split(' ') ?? []) query.append('resource', each)
  ctx.url = `${paths.authorization}?${query}`
  await next()
}
