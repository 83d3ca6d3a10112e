/** How the members of an authorization response travel, by response mode (Multiple Response Types, 2; JARM, 2.3). */
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { SigningKeys } from './keys.ts'
import { modes } from './modes.ts'
import type { ClientOptions } from './options.ts'
import { answerAddress, redirectTo } from './redirects.ts'

/** Answers that are pages. */
export interface Answers {
  /** `response_mode=form_post` (OAuth 2.0 Form Post Response Mode). */
  post(ctx: KoaContextWithOIDC, action: string, fields: Record<string, string>): void
  /** Out-of-band: the code is shown. */
  copy(ctx: KoaContextWithOIDC, answer: Record<string, string>): void
  /** An error without an address to return to. */
  fail(ctx: KoaContextWithOIDC, error: Error & { error_description?: string | undefined }): void
}

/** Seconds that a signed response is good (JARM, 2.1). */
const signedLifetime = 120

const signed: ReadonlySet<string> = new Set([modes.queryJwt, modes.fragmentJwt, modes.formPostJwt])
const places: Readonly<Record<string, 'query' | 'fragment' | 'form'>> = {
  [modes.fragment]: 'fragment',
  [modes.fragmentJwt]: 'fragment',
  [modes.formPost]: 'form',
  [modes.formPostJwt]: 'form',
}

/** The query, unless the mode says otherwise. */
export const placeOf = (mode: string): 'query' | 'fragment' | 'form' => places[mode] ?? 'query'

export interface SignedAnswerContext {
  keys: Pick<SigningKeys, 'sign'>
  issuer: string
  clients: { get(id: string): Pick<ClientOptions, 'signingAlgorithm'> | undefined }
}

/** The members as they are sent: as they are, or in a JWT for the client. */
export async function packed(
  mode: string,
  members: Record<string, string>,
  clientId: string,
  { keys, issuer, clients }: SignedAnswerContext,
): Promise<Record<string, string>> {
  if (!signed.has(mode)) return members
  const exp = Math.floor(Date.now() / 1000) + signedLifetime
  const algorithm = clients.get(clientId)?.signingAlgorithm
  return { response: await keys.sign({ ...members, iss: issuer, aud: clientId, exp }, { algorithm }) }
}

/** Puts our ways of answering in the place of the engine's, which write addresses anew and make pages with inline code. */
export function registerResponseModes(
  provider: Provider,
  { answers, ...signing }: SignedAnswerContext & { answers: Answers },
): void {
  const answer = (mode: string) => async (ctx: KoaContextWithOIDC, uri: string, payload: Record<string, unknown>) => {
    // RFC 9207, 2: in every answer; the engine leaves it out beside an ID token.
    const members = await packed(
      mode,
      textsOf({ ...payload, iss: signing.issuer }),
      ctx.oidc.client?.clientId ?? '',
      signing,
    )
    const place = placeOf(mode)
    if (place === 'form') answers.post(ctx, uri, members)
    else redirectTo(ctx, answerAddress(uri, members, place))
  }
  for (const mode of Object.values(modes))
    if (mode !== modes.outOfBand) provider.registerResponseMode(mode, answer(mode))
  // Only where a request by reference is looked at; our judge names the place.
  provider.registerResponseMode('jwt', answer(modes.queryJwt))
  provider.registerResponseMode(modes.outOfBand, (ctx, _uri, payload) => answers.copy(ctx, textsOf(payload)))
}

const textsOf = (payload: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(payload).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  )
