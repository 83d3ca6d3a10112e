/** Security keys and passkeys (W3C Web Authentication, level 3): what the browser is asked, and judging what it brings. */
import { hash } from 'node:crypto'
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'
import type { WebAuthnAuthenticator } from './chain.ts'
import type { FactorOwner, HeldKey } from './records.ts'

/** Why a key is not taken: for the audit, in place of what the library says. */
export class KeyRefused extends Error {
  override readonly name = 'KeyRefused'
  readonly reason: KeyReason

  constructor(reason: KeyReason, cause?: unknown) {
    super(`a security key was refused: ${reason}`, { cause })
    this.reason = reason
  }
}
export type KeyReason = 'malformed' | 'unknown_key' | 'not_verified' | 'counter_regression' | 'wrong_attachment'

/** EdDSA, ES256 and RS256 (COSE, RFC 9053), as every authenticator has one of; what Node calls experimental is left out. */
const algorithms = [-8, -7, -257]

/** Loaded at the start where a configuration has such an authenticator, and nowhere else: it takes some tenths of a second. */
export const library = async () => {
  const loaded = await import('@simplewebauthn/server')
  // Which makers are trusted decides nothing here; with roots it would ask them for revocation lists in mid-login.
  for (const identifier of ['android-key', 'android-safetynet', 'apple'] as const) {
    loaded.SettingsService.setRootCertificates({ identifier, certificates: [] })
  }
  return loaded
}

/** 32 bytes that say nothing of the person (level 3, 14.6.1), always the same. */
const handleOf = ({ connectorId, userId }: FactorOwner) =>
  new Uint8Array(hash('sha256', `webauthn user ${JSON.stringify([connectorId, userId])}`, 'buffer'))

const descriptors = (keys: readonly HeldKey[]) =>
  keys.map(({ id, transports }) => ({ id, ...(transports && { transports }) }))

/** What `navigator.credentials.create` is asked; `name` is shown by the browser. */
export async function registrationOptions(
  { rpName, rpId, timeout, userVerification, attachment, attestation }: WebAuthnAuthenticator,
  owner: FactorOwner,
  name: string,
  keys: readonly HeldKey[],
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const { generateRegistrationOptions } = await library()
  const options = await generateRegistrationOptions({
    rpName,
    rpID: rpId,
    userName: name,
    userDisplayName: name,
    userID: handleOf(owner),
    timeout,
    supportedAlgorithmIDs: algorithms,
    excludeCredentials: descriptors(keys),
    authenticatorSelection: {
      residentKey: 'discouraged',
      userVerification,
      ...(attachment && { authenticatorAttachment: attachment }),
    },
  })
  return { ...options, attestation }
}

/** What `navigator.credentials.get` is asked: for one of the person's keys. */
export async function loginOptions(
  { rpId, timeout, userVerification }: WebAuthnAuthenticator,
  keys: readonly HeldKey[],
): Promise<PublicKeyCredentialRequestOptionsJSON> {
  const { generateAuthenticationOptions } = await library()
  return generateAuthenticationOptions({
    rpID: rpId,
    timeout,
    userVerification,
    allowCredentials: descriptors(keys),
  })
}

interface Expected {
  challenge: string
  now: Date
}

/** A new key. @throws KeyRefused */
export async function registeredKey(
  authenticator: WebAuthnAuthenticator,
  answer: unknown,
  { challenge, now }: Expected,
): Promise<{ key: HeldKey; amr: string[] }> {
  const response = readAnswer(answer, authenticator) as RegistrationResponseJSON
  const { verifyRegistrationResponse } = await library()
  const { verified, registrationInfo } = await verifyRegistrationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: authenticator.origins,
    expectedRPID: authenticator.rpId,
    requireUserVerification: authenticator.userVerification === 'required',
    supportedAlgorithmIDs: algorithms,
  }).catch((error: unknown) => {
    throw new KeyRefused('not_verified', error)
  })
  if (!verified) throw new KeyRefused('not_verified')
  const { credential, credentialDeviceType, credentialBackedUp, aaguid } = registrationInfo
  const key: HeldKey = {
    id: credential.id,
    publicKey: Buffer.from(credential.publicKey).toString('base64url'),
    counter: credential.counter,
    ...(credential.transports && { transports: credential.transports }),
    deviceType: credentialDeviceType,
    backedUp: credentialBackedUp,
    aaguid,
    since: Math.floor(now.getTime() / 1000),
  }
  return { key, amr: methodsOfKey(key) }
}

/** The key that was used, with its new counter. @throws KeyRefused */
export async function usedKey(
  authenticator: WebAuthnAuthenticator,
  keys: readonly HeldKey[],
  answer: unknown,
  { challenge }: Pick<Expected, 'challenge'>,
): Promise<{ key: HeldKey; amr: string[] }> {
  const response = readAnswer(answer, authenticator) as AuthenticationResponseJSON
  const key = keys.find(({ id }) => id === response.id)
  if (!key) throw new KeyRefused('unknown_key')
  const { verifyAuthenticationResponse } = await library()
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: authenticator.origins,
    expectedRPID: authenticator.rpId,
    credential: {
      id: key.id,
      publicKey: new Uint8Array(Buffer.from(key.publicKey, 'base64url')),
      counter: key.counter,
      ...(key.transports && { transports: key.transports }),
    },
    requireUserVerification: authenticator.userVerification === 'required',
  }).catch((error: unknown) => {
    // The library's own check (level 3, 7.2, step 22): a key that counts backwards was copied.
    const counted = error instanceof Error && /^Response counter value/.test(error.message)
    throw new KeyRefused(counted ? 'counter_regression' : 'not_verified', error)
  })
  if (!verified) throw new KeyRefused('not_verified')
  const { newCounter, credentialBackedUp } = authenticationInfo
  return { key: { ...key, counter: newCounter, backedUp: credentialBackedUp }, amr: methodsOfKey(key) }
}

/** RFC 8176, 2: `swk` where the key is one that its maker copies between devices, `user` for a person who was present. */
const methodsOfKey = ({ deviceType }: HeldKey): string[] => [deviceType === 'multiDevice' ? 'swk' : 'hwk', 'user']

/** The form that a browser gives it; the rest is the library's to judge. */
function readAnswer(answer: unknown, { attachment }: WebAuthnAuthenticator): object & { id: string } {
  if (typeof answer !== 'object' || answer === null) throw new KeyRefused('malformed')
  const { id, authenticatorAttachment: used } = answer as { id?: unknown; authenticatorAttachment?: unknown }
  if (typeof id !== 'string') throw new KeyRefused('malformed')
  // Only the browser knows; it may keep silent.
  if (attachment && typeof used === 'string' && used !== attachment) throw new KeyRefused('wrong_attachment')
  return answer as object & { id: string }
}
