/** Second factors of people: what a login has to show, setting it up, and checking it. */
import type { Json } from '../../lib/json.ts'
import type { Audit } from '../../telemetry/audit.ts'
import type { Connectors } from '../connectors.ts'
import { type Login, personOf } from '../identity.ts'
import type { Limits, Refusal } from '../limits.ts'
import {
  type Authenticator,
  chainOf,
  type DoneFactor,
  type FactorClient,
  type FactorOptions,
  type FactorStep,
  missingFactors,
  nextStep,
  type TotpAuthenticator,
  type WebAuthnAuthenticator,
} from './chain.ts'
import type { FactorOwner, FactorRecord, FactorRecords, HeldCodes, HeldKey, HeldKeys } from './records.ts'
import { enrolmentAddress, newSecret, qrPicture, stepOf } from './totp.ts'
import { KeyRefused, library, loginOptions, registeredKey, registrationOptions, usedKey } from './webauthn.ts'

/** A login at its second factors. */
export interface FactorRequest {
  client: FactorClient & { id: string }
  login: Login
  /** Of the stash. */
  state: string
  /** Of the stash, Unix seconds. */
  expiresAt: number
}

export type FactorReason =
  | 'wrong_code'
  | 'code_used'
  | 'not_begun'
  | 'too_many_keys'
  | 'conflict'
  | KeyRefused['reason']

export type FactorOutcome =
  /** Not kept yet: whoever asked puts it into the login. */
  | { done: DoneFactor }
  | { refused: FactorReason; step: FactorStep }
  | { limited: Refusal; step: FactorStep }
  /** The login is at another step. */
  | { elsewhere: true }

export type KeyCeremony =
  | { as: 'login' }
  /** The first key, or with `further` (an authenticator's id) one more, which that authenticator has to be shown for. */
  | { as: 'register'; further?: string }

export interface Enrolment {
  /** base32 */
  secret: string
  /** `otpauth://…` */
  address: string
  /** A `data:` address of a picture. */
  qr: string
}

export interface Factors {
  /** What a login of that client by that connector needs. */
  chain(client: FactorClient, connectorId: string): Authenticator[]
  /** What of it is not among `done`; empty: a code, a device or anything else may be granted. */
  missing(client: FactorClient, connectorId: string, done?: readonly DoneFactor[]): Authenticator[]
  /** The login of a session, with the factors that are still good for another authorization. */
  remembered(login: Login): Login
  /** What to ask the person for; `undefined`: nothing is missing. */
  step(client: FactorClient, login: Login): Promise<FactorStep | undefined>
  /** The secret that this login may set up, the same each time that it is asked. */
  enrolment(request: FactorRequest, authenticator: TotpAuthenticator): Promise<Enrolment>
  /** A code was typed, for the step that the login is at. */
  code(request: FactorRequest, code: string): Promise<FactorOutcome>
  /** Options for the browser; `undefined`: the login is at another step. */
  beginKey(request: FactorRequest, ceremony: KeyCeremony): Promise<object | undefined>
  /** What the browser brought. */
  finishKey(request: FactorRequest, ceremony: KeyCeremony, answer: unknown): Promise<FactorOutcome>
}

export interface FactorsContext {
  options: FactorOptions
  records: FactorRecords
  connectors: Pick<Connectors, 'get'>
  limits: Pick<Limits, 'factor' | 'factorAccepted'>
  audit: Audit
  now(): Date
}

/** Several logins of one person may write at the same time. */
const tries = 5
const mostKeys = 10

export async function openFactors({
  options,
  records,
  connectors,
  limits,
  audit,
  now,
}: FactorsContext): Promise<Factors> {
  if (options.authenticators.some(({ type }) => type === 'WebAuthn')) await library()

  const seconds = () => Math.floor(now().getTime() / 1000)
  const ownerOf = ({ connectorId, identity }: Login): FactorOwner => ({ connectorId, userId: identity.userId })
  const typeOf = (connectorId: string): string => {
    const connector = connectors.get(connectorId)
    if (!connector) throw new Error(`connector "${connectorId}" is not configured any more`)
    return connector.type
  }
  /** What was set up for an authenticator of another kind with the same id is nothing to it. */
  const heldIds = ({ held }: FactorRecord): ReadonlySet<string> =>
    new Set(options.authenticators.flatMap(({ id, type }) => (held[id]?.type === type ? [id] : [])))
  const stepFor = (client: FactorClient, { connectorId, factors = [] }: Login, record: FactorRecord) =>
    nextStep(options, client, typeOf(connectorId), factors, heldIds(record))
  const keysOf = ({ held }: FactorRecord, { id }: WebAuthnAuthenticator): HeldKey[] => {
    const found = held[id]
    return found?.type === 'WebAuthn' ? found.keys : []
  }
  const lifeOf = ({ expiresAt }: FactorRequest): number => Math.max(1, expiresAt - seconds())

  const limited = async (request: FactorRequest, step: FactorStep): Promise<FactorOutcome | undefined> => {
    const { login } = request
    const refusal = await limits.factor({ ...ownerOf(login), authenticatorId: step.authenticator.id })
    if (!refusal) return undefined
    const { key } = refusal
    audit({
      type: 'rate_limited',
      what: 'factor',
      key,
      connector_id: login.connectorId,
      user: personOf(login).username,
    })
    return { limited: refusal, step }
  }

  const refused = ({ client, login }: FactorRequest, step: FactorStep, reason: FactorReason): FactorOutcome => {
    const { id } = step.authenticator
    audit({ type: 'factor_refused', authenticator: id, reason, client_id: client.id, ...personOf(login) })
    return { refused: reason, step }
  }

  const accepted = async (
    { client, login }: FactorRequest,
    { authenticator: { id }, enrol }: FactorStep,
    amr: string[],
  ): Promise<FactorOutcome> => {
    await limits.factorAccepted({ ...ownerOf(login), authenticatorId: id })
    const event = { authenticator: id, client_id: client.id, ...personOf(login) }
    if (enrol) audit({ type: 'factor_enrolled', ...event })
    audit({ type: 'factor_accepted', ...event, amr })
    return { done: { authenticatorId: id, at: seconds(), amr } }
  }

  /** Where a ceremony stands, if the login is at it. */
  const keyStep = (
    { client, login }: FactorRequest,
    ceremony: KeyCeremony,
    record: FactorRecord,
  ): (FactorStep & { authenticator: WebAuthnAuthenticator }) | undefined => {
    const further = ceremony.as === 'register' ? ceremony.further : undefined
    if (further !== undefined) {
      const shown = wasShown(login, further)
      const authenticator = options.authenticators.find(({ id }) => id === further)
      if (!shown || authenticator?.type !== 'WebAuthn' || !heldIds(record).has(further)) return undefined
      return { authenticator, enrol: true }
    }
    const step = stepFor(client, login, record)
    if (step?.authenticator.type !== 'WebAuthn' || step.enrol !== (ceremony.as === 'register')) return undefined
    return { authenticator: step.authenticator, enrol: step.enrol }
  }
  const ceremonyName = ({ authenticator: { id } }: FactorStep, { as }: KeyCeremony) => `${as} challenge ${id}`
  const secretName = ({ id }: Authenticator) => `secret ${id}`

  return {
    chain: (client, connectorId) => chainOf(options, client, typeOf(connectorId)),
    missing: (client, connectorId, done) => missingFactors(options, client, typeOf(connectorId), done),

    remembered({ factors = [], ...login }) {
      const good = factors.filter(({ at }) => at + options.rememberFor > seconds())
      return good.length > 0 ? { ...login, factors: good.map((each) => ({ ...each, remembered: true })) } : login
    },

    async step(client, login) {
      const { connectorId, factors } = login
      if (missingFactors(options, client, typeOf(connectorId), factors).length === 0) return undefined
      return stepFor(client, login, await records.read(ownerOf(login)))
    },

    async enrolment(request, authenticator) {
      const { state, login } = request
      const name = secretName(authenticator)
      const secret = (await records.keep(state, name, newSecret(), lifeOf(request), { once: true })) as string
      const address = enrolmentAddress(secret, authenticator.issuer, accountOf(login))
      return { secret, address, qr: qrPicture(address) }
    },

    async code(request, code) {
      const { client, login, state } = request
      const owner = ownerOf(login)
      let counted = false
      for (let each = 0; each < tries; each++) {
        const record = await records.read(owner)
        const step = stepFor(client, login, record)
        if (step?.authenticator.type !== 'TOTP') return { elsewhere: true }
        const { id } = step.authenticator
        if (!counted) {
          const over = await limited(request, step)
          if (over) return over
          counted = true
        }
        const pending = step.enrol ? await records.waiting(state, secretName(step.authenticator)) : undefined
        if (step.enrol && !pending) return refused(request, step, 'not_begun')
        const before = record.held[id] as HeldCodes | undefined
        const secret = pending ? (pending.value as string) : before!.secret
        const taken = stepOf(secret, code, now())
        if (taken === undefined) return refused(request, step, 'wrong_code')
        if (!pending && taken <= before!.lastStep) return refused(request, step, 'code_used')
        const since = pending ? seconds() : before!.since
        const held = { ...record.held, [id]: { type: 'TOTP' as const, secret, lastStep: taken, since } }
        if (await records.write(owner, record, held, pending && [pending.taken]))
          return accepted(request, step, ['otp'])
      }
      throw new Error('the second factors of a person are written by too many logins at once')
    },

    async beginKey(request, ceremony) {
      const { login, state } = request
      const owner = ownerOf(login)
      const record = await records.read(owner)
      const step = keyStep(request, ceremony, record)
      if (!step) return undefined
      const { authenticator } = step
      const keys = keysOf(record, authenticator)
      const asked =
        ceremony.as === 'register'
          ? await registrationOptions(authenticator, owner, accountOf(login), keys)
          : await loginOptions(authenticator, keys)
      await records.keep(state, ceremonyName(step, ceremony), asked.challenge, lifeOf(request))
      return asked
    },

    async finishKey(request, ceremony, answer) {
      const { login, state } = request
      const owner = ownerOf(login)
      const record = await records.read(owner)
      const step = keyStep(request, ceremony, record)
      if (!step) return { elsewhere: true }
      const over = await limited(request, step)
      if (over) return over
      const { authenticator } = step
      const keys = keysOf(record, authenticator)
      if (ceremony.as === 'register' && keys.length >= mostKeys) return refused(request, step, 'too_many_keys')
      // Taken before the answer is looked at: each challenge is good for one answer, a wrong one too.
      const challenge: Json | undefined = await records.take(state, ceremonyName(step, ceremony))
      if (typeof challenge !== 'string') return refused(request, step, 'not_begun')
      try {
        const expected = { challenge, now: now() }
        const { key, amr } =
          ceremony.as === 'register'
            ? await registeredKey(authenticator, answer, expected)
            : await usedKey(authenticator, keys, answer, expected)
        const held: HeldKeys = { type: 'WebAuthn', keys: [...keys.filter(({ id }) => id !== key.id), key] }
        const written = await records.write(owner, record, { ...record.held, [authenticator.id]: held })
        return written ? await accepted(request, step, amr) : refused(request, step, 'conflict')
      } catch (error) {
        if (error instanceof KeyRefused) return refused(request, step, error.reason)
        throw error
      }
    },
  }
}

/** In this authorization, so that a key may be added. */
export const wasShown = ({ factors = [] }: Login, authenticatorId: string): boolean =>
  factors.some((each) => each.authenticatorId === authenticatorId && !each.remembered)

/** As Dex names it: which connector, and who. */
function accountOf(login: Login): string {
  const { email, preferredUsername, username, userId } = login.identity
  return `(${login.connectorId}) ${email ?? preferredUsername ?? username ?? userId}`
}
