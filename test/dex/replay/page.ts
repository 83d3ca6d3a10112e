/** What a person without scripts sees of a page, and which kind of page it is. */

/** Attributes of a tag by name. */
type Attributes = Record<string, string>

export interface Button {
  name?: string
  value?: string
  text: string
}

export interface Input extends Attributes {
  type: string
}

export interface Form {
  action: string
  method: string
  inputs: Input[]
  buttons: Button[]
}

interface Link {
  href: string
  text: string
}

export interface Page {
  forms: Form[]
  links: Link[]
  text: string
}

export type Kind = 'choice' | 'password' | 'approval' | 'user code' | 'question' | 'page'

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const unescaped = (text: string): string =>
  text.replace(/&(#x?[\da-f]+|[a-z]+);/gi, (all, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name.toLowerCase()] ?? all
    return String.fromCodePoint(/^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1)))
  })
const words = (html: string): string =>
  unescaped(html.replace(/<[^>]*>/g, ' '))
    .replace(/\s+/g, ' ')
    .trim()
const ATTRIBUTE = /([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g
const attributes = (tag: string): Attributes =>
  Object.fromEntries(
    [...tag.matchAll(ATTRIBUTE)].map((m) => [m[1]!.toLowerCase(), unescaped(m[2] ?? m[3] ?? m[4] ?? '')]),
  )
const visible = (html: string): string =>
  html.replace(/<!--[\s\S]*?-->/g, '').replace(/<(script|style|head)\b[\s\S]*?<\/\1>/gi, '')

/** Forms with their controls, links, and the text. */
export function readPage(html: string): Page {
  const shown = visible(html)
  const forms = [...shown.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head, inner]) =>
    readForm(head!, inner!),
  )
  const links = [...shown.matchAll(/<a\b([^>]*)>([\s\S]*?)<\/a>/gi)].map((m) => ({
    href: '',
    ...attributes(m[1]!),
    text: words(m[2]!),
  }))
  return { forms, links: links.filter(({ href }) => href), text: words(shown) }
}

function readForm(head: string, inner: string): Form {
  const { action = '', method = 'get' } = attributes(head)
  const inputs = [...inner.matchAll(/<(input|select|textarea)\b([^>]*)>/gi)].map((m) => ({
    type: m[1]!.toLowerCase(),
    ...attributes(m[2]!),
  }))
  const isSubmit = ({ type }: Input): boolean => type === 'submit'
  const buttons = [...inner.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)].map((m) => ({
    ...attributes(m[1]!),
    text: words(m[2]!),
  }))
  const submits = inputs.filter(isSubmit).map((input: Input) => ({ ...input, text: input.value ?? '' }))
  return {
    action,
    method: method.toUpperCase(),
    inputs: inputs.filter((input) => !isSubmit(input)),
    buttons: [...buttons, ...submits],
  }
}

const YES = /\b(approve|allow|grant|continue|accept|confirm|yes|log ?out|sign ?out|submit)\b/i
const NO = /\b(reject|rejected|deny|cancel|abort|decline|no)\b/i
const says = (button: Button, pattern: RegExp): boolean =>
  pattern.test(button.value ?? '') || pattern.test(button.name ?? '') || pattern.test(button.text)

/** A button that goes on. */
export const saysYes = (button: Button): boolean => says(button, YES)

/** The kind of a page, and the form that makes it one. */
export function kindOf(page: Page): { kind: Kind; form?: Form } {
  const withInput = (test: (input: Input) => boolean): Form | undefined =>
    page.forms.find((form) => form.inputs.some(test))
  const password = withInput((input) => input.type === 'password')
  if (password) return { kind: 'password', form: password }
  const code = withInput((input) => input.name === 'user_code' && input.type !== 'hidden')
  if (code) return { kind: 'user code', form: code }
  const asksForApproval = (form: Form): boolean =>
    form.inputs.some((input) => input.name === 'approval') || form.buttons.some((button) => says(button, NO))
  if (page.forms.some(asksForApproval)) return { kind: 'approval' }
  if (connectorsOn(page).length > 0) return { kind: 'choice' }
  const confirm = page.forms.find((form) => form.method === 'POST' && form.buttons.some(saysYes))
  return confirm ? { kind: 'question', form: confirm } : { kind: 'page' }
}

const CHOICE = /\/(?:auth|login|interaction)\/(?:[^/]+\/)*([^/]+)$/

/** The id of the connector that an address leads to, or an empty text. */
export const connectorOf = (href: string): string => decodeURIComponent(href.split(/[?#]/)[0]!.match(CHOICE)?.[1] ?? '')

/** Ids of the connectors that a page offers, in its order: links to `/auth/ID`, or buttons that name them. */
function connectorsOn(page: Page): (string | undefined)[] {
  const named = (form: Form): (string | undefined)[] =>
    form.buttons.filter(({ name }) => /connector/.test(name ?? '')).map(({ value }) => value)
  const fromLinks = page.links.map(({ href }) => connectorOf(href)).filter(Boolean)
  const fromForms = page.forms.flatMap((form) => {
    const id = connectorOf(form.action)
    return id ? [id] : named(form)
  })
  return [...fromLinks, ...fromForms]
}

/** The form, and perhaps the button of it, that approves or rejects. */
export function decision(page: Page, approve: boolean): { form: Form; button?: Button } | undefined {
  const value = approve ? 'approve' : 'rejected'
  const hidden = page.forms.find(({ inputs }) =>
    inputs.some((input) => input.name === 'approval' && input.value === value),
  )
  if (hidden) return { form: hidden }
  for (const form of page.forms) {
    const button = form.buttons.find((one) => says(one, approve ? YES : NO) && !(approve && says(one, NO)))
    if (button) return { form, button }
  }
  return undefined
}

/** What a browser would send of a form. */
export function filled(form: Form, extra: Record<string, string> = {}, button?: Button): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const input of form.inputs) {
    const isBox = input.type === 'checkbox' || input.type === 'radio'
    if (input.name && (!isBox || 'checked' in input)) fields[input.name] = input.value ?? (isBox ? 'on' : '')
  }
  if (button?.name) fields[button.name] = button.value ?? ''
  return { ...fields, ...extra }
}

export interface Description {
  kind: Kind
  /** For each form the names of the fields that a person or a script would send from it. */
  forms: string[][]
  offers: (string | undefined)[]
  text: string
}

export function describePage(html: string): Description {
  const page = readPage(html)
  const names = (form: Form): string[] => {
    const shown = form.inputs.filter(({ name, type }) => name && (type !== 'hidden' || name === 'approval'))
    return [...new Set([...shown, ...form.buttons].flatMap(({ name }) => name || []))]
  }
  const forms = page.forms.map(names).filter((form) => form.length > 0)
  return { kind: kindOf(page).kind, forms, offers: connectorsOn(page), text: page.text }
}
