/** Has the engine answer an authorization request whose person is known and has approved. */
import type { Context, Next } from 'koa'
import { paths } from './discovery.ts'
import { type FinishedLogin, stateOf } from './state.ts'

/**
 * Goes to the engine's authorization endpoint from inside, whatever page of ours the browser is at: it checks the request
 * once more by its own rules, issues the code and sends the browser to the client.
 * @param params as `judgeAuthorization` accepted them
 */
export async function issueCode(
  ctx: Context,
  next: Next,
  params: Record<string, string>,
  finished: FinishedLogin,
): Promise<void> {
  stateOf(ctx).finished = finished
  ctx.method = 'GET'
  const { resource, ...single } = params
  const query = new URLSearchParams(single)
  for (const each of resource?.split(' ') ?? []) query.append('resource', each)
  ctx.url = `${paths.authorization}?${query}`
  await next()
}
