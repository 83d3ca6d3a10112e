/** What Okta itself sends to us: event hooks, and Universal Logout (draft-parecki-oauth-global-token-revocation). */
import { hash, timingSafeEqual } from 'node:crypto'
import { decodeProtectedHeader } from 'jose'
import type { ConnectorContext, Ended, Inbound, Received, Reply } from '../../contract.ts'
import { ownFailure } from './failures.ts'
import type { Lazily } from './lazily.ts'
import { invalid, isFor, json, onceOf, refusal, refuse } from './logout-token.ts'
import type { OidcSettings } from './settings.ts'
import type { Upstream } from './upstream.ts'

export interface OktaMessages {
  settings: OidcSettings & { eventHookSecret?: string }
  /** The org's own authorization server, whose keys sign for Universal Logout. */
  org: Lazily<Upstream>
  context: Pick<ConnectorContext, 'now' | 'log'>
}

/** @returns `undefined` for what is neither; a logout token, then */
export async function receiveFromOkta(request: Inbound, okta: OktaMessages): Promise<Received | undefined> {
  const { method, headers } = request
  if (method === 'GET') return { answer: verification(request, okta), ended: [] }
  if (!/^application\/json\b/i.test(headers.get('content-type') ?? '')) return undefined
  const message = parse(request.body)
  if (!message) return { answer: invalid('JSON is expected'), ended: [] }
  if (message.eventType !== undefined || message.data !== undefined) return receiveHook(request, message, okta)
  return receiveUniversalLogout(request, message, okta)
}

type Members = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

function parse(body: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const unauthenticated: Reply = { status: 401, ...json({ error: 'invalid_token' }) }

/** Okta asks once whether the address is ours. */
function verification({ headers }: Inbound, { settings }: OktaMessages): Reply {
  const challenge = headers.get('x-okta-verification-challenge')
  if (!settings.eventHookSecret) return { status: 404, ...json({ error: 'not_found' }) }
  if (!challenge || challenge.length > 500) return invalid('x-okta-verification-challenge is missing')
  return { status: 200, ...json({ verification: challenge }) }
}

/** After any of these the person has to log in anew. */
const endings = new Set([
  'user.lifecycle.suspend',
  'user.lifecycle.deactivate',
  'user.lifecycle.delete.initiated',
  'user.session.clear',
  'group.user_membership.remove',
  'application.user_membership.remove',
])
/** Seconds for which an event is known again: Okta sends one twice, and out of order. */
const remembered = 24 * 60 * 60

function receiveHook({ headers }: Inbound, message: Members, { settings, context }: OktaMessages): Received {
  const { eventHookSecret: secret } = settings
  if (!secret || !equal(headers.get('authorization') ?? '', secret)) {
    context.log.warn('an event hook was refused', {
      reason: secret ? 'its Authorization header is not eventHookSecret' : 'eventHookSecret is not set',
    })
    return { answer: unauthenticated, ended: [] }
  }
  const events = isObject(message.data) && Array.isArray(message.data.events) ? message.data.events : undefined
  if (!events) return { answer: invalid('data.events is missing'), ended: [] }
  const until = Math.floor(context.now().getTime() / 1000) + remembered
  const ended = events.filter(isObject).flatMap((event) => endedBy(event, settings, until))
  return { answer: { status: 204 }, ended, later: true }
}

function endedBy(event: Members, settings: OidcSettings, until: number): Ended[] {
  const { uuid, eventType, outcome, target } = event
  const id = text(uuid)
  if (id === undefined || !endings.has(String(eventType)) || !Array.isArray(target)) return []
  if (isObject(outcome) && outcome.result !== undefined && outcome.result !== 'SUCCESS') return []
  const targets = target.filter(isObject)
  // Taken from another application: no business of ours.
  const application = targets.find(({ type }) => type === 'AppInstance')
  if (eventType === 'application.user_membership.remove' && application?.id !== settings.clientID) return []
  const user = targets.find(({ type }) => type === 'User') ?? {}
  const whom = personOf({ sub: text(user.id), login: text(user.alternateId) }, settings)
  return whom ? [{ ...whom, tokens: true, once: { id: `event ${id}`, until } }] : []
}

/** By what the connector knows people: Okta's id of them, or a claim that the login name stands for. */
function personOf(
  { sub, login }: { sub: string | undefined; login: string | undefined },
  { userIDKey = 'sub' }: OidcSettings,
): { userId: string } | { email: string } | undefined {
  if (userIDKey === 'sub' || userIDKey === '') return sub === undefined ? undefined : { userId: sub }
  if (login === undefined) return undefined
  return userIDKey === 'preferred_username' || userIDKey === 'email' ? { userId: login } : { email: login }
}

async function receiveUniversalLogout(
  { url, headers }: Inbound,
  message: Members,
  { settings, org, context }: OktaMessages,
): Promise<Received> {
  const [, token] = /^bearer +(\S+)$/i.exec(headers.get('authorization') ?? '') ?? []
  const turnedAway = (answer: Reply, reason: unknown): Received => {
    context.log.warn('a Universal Logout was refused', { status: answer.status, err: reason })
    return { answer, ended: [] }
  }
  if (token === undefined) return turnedAway(unauthenticated, undefined)
  let once: { id: string; until: number }
  let issuers: string[]
  try {
    const { keys, metadata } = await org.get()
    const claims = await keys.verify(token, metadata.id_token_signing_alg_values_supported)
    const { typ } = decodeProtectedHeader(token)
    if (!/^(application\/)?global-token-revocation\+jwt$/i.test(typ ?? '')) throw refuse('it is of another type')
    if (claims.iss !== metadata.issuer) throw refuse('another issuer')
    issuers = [metadata.issuer, settings.issuer]
    if (!isFor(claims, url.href)) throw refuse('another audience')
    const time = Math.floor(context.now().getTime() / 1000)
    // Okta's documentation shows them with `jti`; the token itself will do where one has none.
    once = onceOf({ jti: hash('sha256', token), ...claims }, time)
    if (claims.sub !== settings.clientID) {
      return turnedAway({ status: 403, ...json({ error: 'access_denied' }) }, refuse('another application'))
    }
  } catch (error) {
    const answer = refusal(error)
    return turnedAway(answer.status === 400 ? unauthenticated : answer, ownFailure(error) ?? error)
  }
  // Early drafts call it `subject`.
  const subject = message.sub_id ?? message.subject
  if (!isObject(subject)) return { answer: invalid('sub_id is missing'), ended: [] }
  const whom = subjectOf(subject, settings, issuers)
  if (whom === 'malformed') return { answer: invalid('sub_id is malformed, or of an unknown format'), ended: [] }
  if (whom === 'unmapped') return turnedAway({ status: 422, ...json({ error: 'unprocessable' }) }, undefined)
  return {
    answer: { status: 204 },
    ended: [{ ...whom, tokens: true, once: { ...once, id: `revocation ${once.id}` } }],
    nobody: { status: 404, ...json({ error: 'not_found' }) },
    repeated: unauthenticated,
  }
}

/** RFC 9493, 3.2. `unmapped`: who that is cannot be told from what is kept here. */
function subjectOf(
  subject: Members,
  settings: OidcSettings,
  issuers: readonly string[],
): { userId: string } | { email: string } | 'malformed' | 'unmapped' {
  const [email, sub, id, iss] = [subject.email, subject.sub, subject.id, subject.iss].map(text)
  const bySub = (value: string) => personOf({ sub: value, login: undefined }, settings) ?? 'unmapped'
  switch (subject.format) {
    case 'email':
      return email === undefined ? 'malformed' : { email }
    case 'iss_sub':
      if (iss === undefined || sub === undefined) return 'malformed'
      return issuers.includes(iss) ? bySub(sub) : 'unmapped'
    case 'opaque':
      return id === undefined ? 'malformed' : bySub(id)
    default:
      return 'malformed'
  }
}

const digest = (value: string): Buffer => hash('sha256', value, 'buffer')
/** In constant time, whatever the lengths. */
const equal = (presented: string, secret: string): boolean => timingSafeEqual(digest(presented), digest(secret))
