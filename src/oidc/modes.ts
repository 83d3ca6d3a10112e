/** Response modes: how an answer reaches the client (OAuth 2.0 Multiple Response Types, 2; JARM, 2.3). */
import { outOfBand } from './redirects.ts'
import { bringsTokens, spelledOut } from './response-types.ts'

/**
 * Response modes under names of our own: the engine would write addresses anew, which clients compare as text, and make
 * pages with inline code.
 */
export const modes = {
  query: 'query_as_written',
  fragment: 'fragment_as_written',
  formPost: 'form_post_page',
  outOfBand: 'out_of_band_page',
  // Signed (JARM, 2.3); the engine leaves out the second `iss` by these names.
  queryJwt: 'query.jwt',
  fragmentJwt: 'fragment.jwt',
  formPostJwt: 'form_post.jwt',
} as const
export type Mode = (typeof modes)[keyof typeof modes]

/**
 * A mode that is not known is passed over, as in Dex. What brings tokens, or would, is answered in the fragment, errors as
 * well (OAuth 2.0 Multiple Response Types, 5; JARM, 2.3).
 */
export function modeOf(
  { response_mode: mode, response_type: type = '' }: Record<string, string>,
  redirectUri: string,
): Mode {
  if (redirectUri === outOfBand) return modes.outOfBand
  if (mode === 'form_post') return modes.formPost
  if (mode === 'form_post.jwt') return modes.formPostJwt
  const [place, form] = mode === 'jwt' ? [undefined, 'jwt'] : (mode ?? '').split('.')
  const inFragment = place === 'fragment' || bringsTokens(spelledOut(type))
  if (form === 'jwt' && (mode === 'jwt' || place === 'query' || place === 'fragment')) {
    return inFragment ? modes.fragmentJwt : modes.queryJwt
  }
  return mode === 'fragment' || bringsTokens(spelledOut(type)) ? modes.fragment : modes.query
}
