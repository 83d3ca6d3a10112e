/** The authentication request (OpenID Connect Core, 3.1.2.1) and what must come back with its answer. */
import { hash, randomBytes } from 'node:crypto'
import { failure, type Json, type Scopes, type StartRequest } from '../../contract.ts'
import type { Metadata } from './discovery.ts'
import type { OidcSettings } from './settings.ts'

/** Sealed on its way round: what binds the answer to this request. */
export interface Memo {
  nonce: string
  verifier?: string
  /** `offline_access` was asked for although it is not configured. */
  addedOfflineAccess?: true
}

const offlineAccess = 'offline_access'

/** 256 bits. */
const secretValue = () => randomBytes(32).toString('base64url')

export function authenticationRequest(
  settings: OidcSettings,
  metadata: Metadata,
  { scopes, callbackUrl, state, wishes }: StartRequest,
): { url: URL; memo: Memo } {
  const memo: Memo = { nonce: secretValue() }
  const url = new URL(metadata.authorization_endpoint)
  const set = (name: string, value: string | undefined) => {
    if (value) url.searchParams.set(name, value)
  }
  set('client_id', settings.clientID)
  set('redirect_uri', callbackUrl.href)
  set('response_type', 'code')
  const wanted = requestedScopes(settings, metadata, scopes)
  if (wanted.includes(offlineAccess) && !settings.scopes?.includes(offlineAccess)) memo.addedOfflineAccess = true
  set('scope', wanted.join(' '))
  set('state', state)
  set('nonce', memo.nonce)
  const method = challengeMethod(settings, metadata)
  if (method) {
    memo.verifier = secretValue()
    set('code_challenge', method === 'S256' ? hash('sha256', memo.verifier, 'base64url') : memo.verifier)
    set('code_challenge_method', method)
  }
  set('acr_values', unique([...(settings.acrValues ?? []), ...(wishes.acrValues ?? [])]).join(' '))
  if (scopes.offlineAccess) set('access_type', 'offline')
  set('prompt', promptFor(settings, scopes, wishes.prompt))
  set('max_age', wishes.maxAge?.toString())
  set('ui_locales', wishes.uiLocales?.join(' '))
  set('login_hint', wishes.loginHint)
  return { url, memo }
}

/** @returns the memo of a request, as it comes back; anything else is a broken login */
export function readMemo(memo: Json | undefined): Memo {
  if (typeof memo === 'object' && memo !== null && !Array.isArray(memo) && typeof memo.nonce === 'string') {
    return {
      nonce: memo.nonce,
      ...(typeof memo.verifier === 'string' && { verifier: memo.verifier }),
      ...(memo.addedOfflineAccess === true && { addedOfflineAccess: true }),
    }
  }
  throw failure('login_refused', 'the callback belongs to no login that was started here')
}

/** `openid`, then what is configured, then what the client's wishes add; each once (RFC 6749, 3.3). */
export function requestedScopes(settings: OidcSettings, metadata: Metadata, wanted: Scopes): string[] {
  const explicit = settings.scopes && settings.scopes.length > 0 ? settings.scopes : undefined
  const scopes = ['openid', ...(explicit ?? ['profile', 'email'])]
  const listed = metadata.scopes_supported
  const add = (name: string) => {
    if (settings.addScopes !== false && Array.isArray(listed) && listed.includes(name)) scopes.push(name)
  }
  if (wanted.groups && !explicit && settings.insecureEnableGroups !== false) add('groups')
  if (wanted.offlineAccess) add(offlineAccess)
  return unique(scopes)
}

/** The PKCE method (RFC 7636), or `undefined` when the upstream lists none and none is configured. */
function challengeMethod(settings: OidcSettings, metadata: Metadata): 'S256' | 'plain' | undefined {
  const configured = settings.pkceChallenge
  if (configured === 'S256' || configured === 'plain') return configured
  if (configured)
    throw failure('misconfigured', `unknown challenge method (${configured}): pkceChallenge is S256 or plain`)
  const listed = metadata.code_challenge_methods_supported
  return (['S256', 'plain'] as const).find((method) => Array.isArray(listed) && listed.includes(method))
}

/** The client's prompts; with offline access also the configured one, unless the client wants no page at all. */
function promptFor(settings: OidcSettings, scopes: Scopes, wish: string | undefined): string {
  const wished = (wish ?? '').split(' ').filter(Boolean)
  if (wished.includes('none')) return 'none'
  const configured = scopes.offlineAccess ? (settings.promptType ?? 'consent').split(' ').filter(Boolean) : []
  return unique([...configured, ...wished]).join(' ')
}

const unique = (values: readonly string[]): string[] => [...new Set(values)]
