/**
 * Response types of the authorization endpoint (OAuth 2.0 Multiple Response Types, 3; OpenID Connect Core, 3). One is
 * written here with its words in the order of the alphabet, as Dex writes them and the engine compares them.
 */

const words = ['code', 'id_token', 'token'] as const

export const implicitGrant = 'implicit'

/** A response type in its one spelling: each word once, whatever the order (OAuth 2.0 Multiple Response Types, 5). */
export const spelledOut = (responseType: string): string =>
  [...new Set(responseType.split(/\s+/).filter((word) => word !== ''))].sort().join(' ')

const wordsOf = (responseType: string): string[] => responseType.split(' ')

/** Every one that can be asked for; `token` alone never, since nobody could tell whose token it is. */
const possible = Array.from({ length: 2 ** words.length - 1 }, (_, each) =>
  words.filter((_word, at) => (each + 1) & (1 << at)).join(' '),
).filter((responseType) => responseType !== 'token')

/**
 * What a client may ask for where the operator lists `configured` (`oauth2.responseTypes`): what is listed, and what can be
 * put together of words that are listed by themselves, as in Dex.
 */
export function servedResponseTypes(configured: readonly string[]): string[] {
  const listed = new Set(configured.map(spelledOut))
  return possible.filter((type) => listed.has(type) || wordsOf(type).every((word) => listed.has(word)))
}

/** For the engine, which serves codes at the token endpoint only where it may issue them. */
export const engineResponseTypes = (configured: readonly string[]): string[] => [
  ...new Set(['code', ...servedResponseTypes(configured)]),
]

/** Whether the answer brings a code, which the token endpoint takes. */
export const bringsCode = (responseType: string): boolean => wordsOf(responseType).includes('code')

/** Whether the answer brings tokens: they stand in the fragment or in a form, and so do its errors. */
export const bringsTokens = (responseType: string): boolean =>
  wordsOf(responseType).some((word) => word === 'token' || word === 'id_token')

export const bringsIdToken = (responseType: string): boolean => wordsOf(responseType).includes('id_token')

/** The grant type that connectors are asked for, as in Dex: that of the hybrid flow is `implicit`. */
export const grantTypeOf = (responseType: string): 'implicit' | 'authorization_code' =>
  bringsTokens(responseType) ? implicitGrant : 'authorization_code'
