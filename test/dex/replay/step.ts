/** Does what one step of a scenario says. */
import { encode, type Jar, send } from './exchange.ts'
import { type Answer, type Asked, fill, type Names, type Step } from './scenarios.ts'
import type { StandIn } from './upstreams/index.ts'
import { type Walk, walk } from './walk.ts'
import { type Key, written, writtenLog } from './written.ts'

/** What a scenario has while it runs. */
export interface Run {
  /** Grows with what steps save. */
  names: Names
  standIns: Record<string, StandIn>
  /** Without a slash at its end. */
  issuer: string
  /** PEM of the authority that a stand-in over TLS is trusted by. */
  ca: string | undefined
  /** A cookie jar by its name. */
  jar(name: string): Jar
}

/** The answer in its written form, or undefined for a step that has none. */
export async function perform(step: Step, run: Run): Promise<Answer | undefined> {
  if (step.arrange) return arrange(step.arrange, run)
  if (step.observe) return observed(run.standIns[step.observe]!, run)
  const asked = fill((step.browse ?? step.prepare ?? step.request)!, run.names)
  const seen = step.browse ? await browse(asked, run) : await request(asked, run)
  const keys = await publishedKeys(seen, run)
  save(step.save, seen, run)
  if (step.prepare) return undefined
  const answer = written(seen, { names: run.names, keys, sent: asked.form, anyOrder: step.anyOrder })
  return step.says ? { ...answer, says: seen.last?.text.includes(step.says) ?? false } : answer
}

function arrange(wanted: NonNullable<Step['arrange']>, { names, standIns }: Run): undefined {
  for (const [name, changes] of Object.entries(wanted)) standIns[name]!.arrange(fill(changes, names))
}

function observed({ log }: StandIn, { names }: Run): Answer {
  // The state towards an upstream is the server's own; that of a client is not.
  const hide = (fields: Record<string, string> | undefined) =>
    fields && Object.fromEntries(Object.entries(fields).map(([k, v]) => [k === 'state' ? 'upstream_state' : k, v]))
  const { authorize, token, login, calls } = log
  return writtenLog({ authorize: hide(authorize), token: hide(token), login, calls }, { names })
}

/** One exchange, as a walk that ends at once. A connection that was closed leaves nothing to look at. */
async function request(asked: Asked, run: Run): Promise<Walk> {
  const { form, body, method = form ? 'POST' : 'GET' } = asked
  const jar = asked.jar === undefined ? undefined : run.jar(asked.jar)
  const last = await send(address(asked, run), { method, headers: headersOf(asked), form, body, jar, ca: run.ca })
  return last.status === 0 ? { pages: [] } : { pages: [], last }
}

function browse(asked: Asked, run: Run): Promise<Walk> {
  const origins = [run.names.origin!, ...Object.values(run.standIns).map(({ url }) => url)]
  const ours = (url: string) =>
    origins.some((origin) => url === origin || url.startsWith(`${origin}/`) || url.startsWith(`${origin}?`))
  const { method, form, person, jar = 'browser' } = asked
  const start = address({ path: '/auth', ...asked }, run)
  return walk(start, { method, form, headers: headersOf(asked), jar: run.jar(jar), person, ours, ca: run.ca })
}

function address({ path, url, query }: Asked, { issuer }: Run): string {
  const target = url ?? `${issuer}${path}`
  return query ? `${target}${target.includes('?') ? '&' : '?'}${encode(query)}` : target
}

function headersOf({ headers = {}, basic, bearer }: Asked): Record<string, string> {
  const all = { ...headers }
  if (basic) {
    all.authorization = `Basic ${Buffer.from(basic.map(encodeURIComponent).join(':')).toString('base64')}`
  }
  if (bearer !== undefined) all.authorization = `Bearer ${bearer}`
  return all
}

/** The server's keys, when there is a token to be checked. */
async function publishedKeys({ last, client }: Walk, { issuer }: Run): Promise<Key[] | undefined> {
  if (!/eyJ/.test(`${last?.text} ${client?.location} ${JSON.stringify(client?.posted)}`)) return undefined
  return JSON.parse((await send(`${issuer}/keys`)).text).keys
}

/** Values for later steps: `query.code`, `fragment.id_token`, `form_post.code`, `body.access_token`, `header.location`. */
function save(wanted: Record<string, string> = {}, { client, last }: Walk, { names }: Run): void {
  const location = client?.location ?? ''
  const parameters = (part: RegExp) => Object.fromEntries(new URLSearchParams(location.match(part)?.[1] ?? ''))
  const sources: Record<string, () => Record<string, unknown> | undefined> = {
    query: () => parameters(/\?([^#]*)/),
    fragment: () => parameters(/#(.*)/),
    form_post: () => client?.posted,
    body: () => JSON.parse(last?.text ?? ''),
    header: () => last?.headers,
  }
  for (const [name, from] of Object.entries(wanted)) {
    delete names[name]
    const [source, member] = from.split('.') as [string, string]
    try {
      const found = sources[source]?.()?.[member]
      if (found !== undefined) names[name] = String(found)
    } catch {
      // not there: the step that needs it says so
    }
  }
}
