/** A person without scripts who walks through login pages. */
import { encode, type Jar, type Request, type Response, send } from './exchange.ts'
import {
  type Button,
  connectorOf,
  decision,
  type Form,
  filled,
  type Kind,
  kindOf,
  type Page,
  readPage,
  saysYes,
} from './page.ts'
import type { Fields, Person } from './scenarios.ts'

export interface Way {
  method?: string | undefined
  form?: Fields | undefined
  headers: Record<string, string>
  jar: Jar
  person?: Person | undefined
  /** Whether an address belongs to the server or a stand-in. */
  ours(url: string): boolean
  ca?: string | undefined
}

/** Where a walk ended: at a client, or at a page on which nothing was left to do. */
export interface Walk {
  /** The kinds of page on the way. */
  pages: Kind[]
  client?: Arrival
  last?: Response
}

export interface Arrival {
  status: number
  location: string
  /** The fields of a form that posts itself to the client. */
  posted?: Record<string, string>
}

const MOST_STEPS = 30
const ABSOLUTE = /^[a-z][a-z\d+.-]*:/i

export async function walk(url: string, { method, form, headers, jar, person = {}, ours, ca }: Way): Promise<Walk> {
  const pages: Kind[] = []
  const done = new Set<Kind>()
  let request: Request = { method, form, headers }
  let here = url
  for (let i = 0; i < MOST_STEPS; i += 1) {
    const answer = await send(here, { ...request, jar, ca })
    const location = answer.status >= 300 && answer.status < 400 ? answer.headers.location : undefined
    if (location) {
      const next = resolve(location, here)
      if (!ours(next)) {
        return { pages, client: { status: answer.status, location: ABSOLUTE.test(location) ? location : next } }
      }
      here = next
      request = { method: 'GET', headers }
      continue
    }
    const page = /html/.test(answer.headers['content-type'] ?? '') ? readPage(answer.text) : undefined
    const back = page?.forms.find((one) => one.method === 'POST' && one.action && !ours(resolve(one.action, here)))
    if (back) {
      return { pages, client: { status: answer.status, location: resolve(back.action, here), posted: filled(back) } }
    }
    const step = page && answer.status < 400 ? nextStep(page, person, done) : undefined
    if (!step) return { pages, last: answer }
    pages.push(step.kind)
    if ('href' in step) {
      here = resolve(step.href, here)
      request = { method: 'GET', headers }
      continue
    }
    here = resolve(step.form.action || here, here)
    request = { method: step.form.method, headers }
    if (request.method === 'GET') here = `${here.split('?')[0]}?${encode(step.fields)}`
    else request.form = step.fields
  }
  throw new Error(`more than ${MOST_STEPS} steps from ${url}`)
}

/** Resolved against the page; an address that no URL parser takes stays as it is. */
function resolve(address: string, base: string): string {
  try {
    return new URL(address, base).href
  } catch {
    return address
  }
}

type Action = { kind: Kind; href: string } | { kind: Kind; form: Form; fields: Record<string, string> }

/** What the person does on this page, or undefined when it is the end. Credentials and codes are typed once. */
function nextStep(page: Page, person: Person, done: Set<Kind>): Action | undefined {
  const { kind, form } = kindOf(page)
  const once = (where: Form, fields: Record<string, string>, button?: Button): Action | undefined => {
    if (done.has(kind)) return undefined
    done.add(kind)
    return { kind, form: where, fields: filled(where, fields, button) }
  }
  if (kind === 'password' && person.login !== undefined) {
    const name = form!.inputs.find(({ type }) => !['password', 'hidden', 'checkbox'].includes(type))?.name
    const secret = form!.inputs.find(({ type }) => type === 'password')!.name
    return once(form!, { [String(name)]: person.login, [String(secret)]: String(person.password) })
  }
  if (kind === 'user code' && person.userCode) return once(form!, { user_code: person.userCode })
  if (kind === 'question' && person.approve !== undefined) return once(form!, {}, form!.buttons.find(saysYes))
  if (kind === 'approval' && person.approve !== undefined) {
    const chosen = decision(page, person.approve)
    return chosen && once(chosen.form, {}, chosen.button)
  }
  if (kind === 'choice' && person.connector) return choose(page, person.connector)
  return undefined
}

function choose(page: Page, connector: string): Action | undefined {
  const link = page.links.find(({ href }) => connectorOf(href) === connector)
  if (link) return { kind: 'choice', href: link.href }
  for (const form of page.forms) {
    const button = form.buttons.find(({ value }) => value === connector)
    if (button || connectorOf(form.action) === connector)
      return { kind: 'choice', form, fields: filled(form, {}, button) }
  }
  return undefined
}
