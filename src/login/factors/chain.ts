/** Which second factors a login needs, and which of them it still has to show. */

interface AuthenticatorBase {
  /** Named in chains, and in the records of people: never change it. */
  id: string
  /** Connector types whose people it applies to; empty: all. */
  connectorTypes: string[]
}

/** Codes of an application (RFC 6238). */
export interface TotpAuthenticator extends AuthenticatorBase {
  type: 'TOTP'
  /** Shown by the application beside the code. */
  issuer: string
}

/** Security keys and passkeys (W3C Web Authentication, level 3). */
export interface WebAuthnAuthenticator extends AuthenticatorBase {
  type: 'WebAuthn'
  rpName: string
  /** The domain that keys are bound to. */
  rpId: string
  /** Origins of pages that may ask for a key. */
  origins: string[]
  attestation: 'none' | 'indirect' | 'direct'
  /** Milliseconds that the browser waits for the person. */
  timeout: number
  userVerification: 'required' | 'preferred' | 'discouraged'
  /** Absent: any. */
  attachment?: 'platform' | 'cross-platform'
}

export type Authenticator = TotpAuthenticator | WebAuthnAuthenticator

export interface FactorOptions {
  authenticators: Authenticator[]
  /** Authenticator ids, for clients that say nothing. */
  defaultChain: string[]
  /** Seconds that a session remembers a factor; 0: every authorization asks again. */
  rememberFor: number
}

/** A factor that was shown, by the person whose login it is kept with. */
export interface DoneFactor {
  authenticatorId: string
  /** Unix seconds. */
  at: number
  /** How (RFC 8176, 2). */
  amr: string[]
  /** In an earlier authorization of the same session: good for the chain, but not to set up anything new. */
  remembered?: true
}

export type ShownFactor = Pick<DoneFactor, 'authenticatorId' | 'remembered'>

export interface FactorClient {
  /** Authenticator ids; absent: the default chain, empty: no second factor. */
  mfaChain?: readonly string[]
}

/** What a login of that client needs, in order: the client's chain or the default, without what is not for the connector. */
export function chainOf(options: FactorOptions, client: FactorClient, connectorType: string): Authenticator[] {
  const ids = client.mfaChain ?? options.defaultChain
  return [...new Set(ids)].flatMap((id) => {
    const found = options.authenticators.find((each) => each.id === id)
    // A login that needs what nobody can show must not pass without it.
    if (!found) throw new Error(`the chain of a client names an authenticator that does not exist: ${id}`)
    return appliesTo(found, connectorType) ? [found] : []
  })
}

/** What of the chain is not among `done`, in order; empty: the login may go on. */
export function missingFactors(
  options: FactorOptions,
  client: FactorClient,
  connectorType: string,
  done: readonly ShownFactor[] = [],
): Authenticator[] {
  return chainOf(options, client, connectorType).filter(({ id }) => !isDone(done, id))
}

export interface FactorStep {
  authenticator: Authenticator
  /** Whether the person has nothing of that authenticator yet and sets it up now. */
  enrol: boolean
}

/**
 * What to ask for now. Whoever has a factor shows it before anything is set up, even one that the client does not ask for:
 * a password alone must not be enough to add a factor to a person who has one.
 * @param held ids of the authenticators that the person has something of
 */
export function nextStep(
  options: FactorOptions,
  client: FactorClient,
  connectorType: string,
  done: readonly ShownFactor[],
  held: ReadonlySet<string>,
): FactorStep | undefined {
  const missing = missingFactors(options, client, connectorType, done)
  const [first] = missing
  if (!first) return undefined
  const known = missing.find(({ id }) => held.has(id))
  if (known) return { authenticator: known, enrol: false }
  const proof = proofNeeded(options, connectorType, done, held)
  return proof ? { authenticator: proof, enrol: false } : { authenticator: first, enrol: true }
}

/** The factor to show before another one is set up; `undefined`: none is held, or one was shown in this authorization. */
export function proofNeeded(
  { authenticators }: FactorOptions,
  connectorType: string,
  done: readonly ShownFactor[],
  held: ReadonlySet<string>,
): Authenticator | undefined {
  const usable = authenticators.filter((each) => held.has(each.id) && appliesTo(each, connectorType))
  const now = done.filter(({ remembered }) => !remembered)
  return usable.some(({ id }) => isDone(now, id)) ? undefined : usable[0]
}

/** Factors of both lists, of each authenticator the newest. */
export function mergeFactors(some: readonly DoneFactor[] = [], more: readonly DoneFactor[] = []): DoneFactor[] {
  const newest = new Map<string, DoneFactor>()
  for (const factor of [...some, ...more]) {
    const known = newest.get(factor.authenticatorId)
    if (!known || known.at <= factor.at) newest.set(factor.authenticatorId, factor)
  }
  return [...newest.values()]
}

/**
 * `amr` of a login with second factors (RFC 8176): what the upstream said, what was shown here, and `mfa` for both
 * together. `undefined` where nothing is known.
 */
export function methodsOf(upstream: readonly string[] | undefined, done: readonly DoneFactor[]): string[] | undefined {
  const own = done.flatMap(({ amr }) => amr)
  const all = new Set([...(upstream ?? []), ...own, ...(own.length > 0 ? ['mfa'] : [])])
  return all.size > 0 ? [...all] : undefined
}

const appliesTo = ({ connectorTypes }: Authenticator, type: string): boolean =>
  connectorTypes.length === 0 || connectorTypes.includes(type)

const isDone = (done: readonly ShownFactor[], id: string): boolean =>
  done.some(({ authenticatorId }) => authenticatorId === id)
