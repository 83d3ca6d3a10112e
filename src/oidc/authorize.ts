/**
 * Judges an authorization request before the engine sees it (OpenID Connect Core, 3.1.2.2), in Dex's order. What passes is
 * handed on in the engine's own terms, with nothing in it that was not looked at.
 */
import { messagesFor } from '../login/messages.ts'
import {
  type AuthorizationParams,
  clip,
  type ErrorReturn,
  type Fault,
  type JudgeContext,
  type Judgement,
  type Prompt,
} from './authorization-request.ts'
import { challenge } from './challenge.ts'
import { ClaimsFault, readClaims } from './claims-request.ts'
import { modeOf } from './modes.ts'
import type { ClientOptions } from './options.ts'
import { isFapi } from './profile.ts'
import { profileFault, resourceFault } from './profile-faults.ts'
import { outOfBand, redirectAllowed } from './redirects.ts'
import { wishesOfObject } from './refused-object.ts'
import {
  bringsCode,
  bringsIdToken,
  bringsTokens,
  grantTypeOf,
  servedResponseTypes,
  spelledOut,
} from './response-types.ts'
import { scopeFaults, splitScopes } from './scopes.ts'

const askDeveloper = 'Whoever looks after the application has to correct this; tell them what this page says.'

/** `sources` are the values of each parameter, since one that is repeated is a fault (RFC 6749, 3.1). */
export async function judgeAuthorization(
  sources: Record<string, string | string[] | undefined>,
  context: JudgeContext,
): Promise<Judgement> {
  // Resources may be several (RFC 8707, 2).
  const repeated = Object.keys(sources).filter((name) => name !== 'resource' && Array.isArray(sources[name]))
  const resources = [sources.resource ?? []].flat().filter((resource) => resource !== '')
  const params = Object.fromEntries(
    Object.entries(sources).flatMap(([name, value]) => {
      const first = Array.isArray(value) ? value[0] : value
      return first === undefined || first === '' ? [] : [[name, first]]
    }),
  )
  const disabled = context.clients.disabled(params.client_id ?? '')
  if (disabled && !repeated.includes('client_id')) {
    const { message, next } = messagesFor(localesOf(params)).clientDisabled
    return { accepted: false, status: 403, message: message(disabled.name), next }
  }
  const client = await context.clients.load(params.client_id ?? '')
  // RFC 6749, 3.3.
  if (client?.defaultScopes && params.scope === undefined) params.scope = client.defaultScopes.join(' ')
  if (!client || repeated.includes('client_id')) {
    return page(`Invalid client_id: no application of the name "${clip(params.client_id ?? '')}" is registered here.`)
  }
  const redirectUri = params.redirect_uri ?? ''
  if (repeated.includes('redirect_uri') || !redirectAllowed(client, redirectUri)) {
    return page(unregistered(client, redirectUri))
  }
  const told = params.request === undefined ? params : { ...wishesOfObject(params.request), ...params }
  const { response_mode: _, ...others } = told
  const returnTo = {
    clientId: client.id,
    redirectUri,
    mode: modeOf(repeated.includes('response_mode') ? others : told, redirectUri),
    state: repeated.includes('state') ? undefined : told.state,
  }
  const refused = ([error, description]: Fault): Judgement => ({ accepted: false, ...returnTo, error, description })
  const fault =
    repeated.length > 0 ? dupes(repeated) : (faultOf(params, client, context) ?? resourceFault(resources, client))
  if (fault) return refused(fault)
  const { id_token_hint: hint } = params
  const hintedSubject = hint === undefined ? undefined : await context.hintedSubject(hint)
  if (hint !== undefined && hintedSubject === undefined) return refused(['invalid_request', 'Invalid id_token_hint.'])
  return accept(params, client, returnTo, resources, hintedSubject)
}

const page = (message: string): Judgement => ({ accepted: false, status: 400, message, next: askDeveloper })
const dupes = (names: string[]): Fault => ['invalid_request', `${names.join(', ')} must not be sent twice`]

function unregistered(client: ClientOptions, redirectUri: string): string {
  if (redirectUri === '') return `Unregistered redirect_uri: the application "${client.name}" sent none.`
  const loopback = client.redirectURIs.find((uri) => /^https:\/\/localhost[:/]/.test(uri))
  const hint =
    loopback && /^http:\/\/(localhost|127\.)/.test(redirectUri)
      ? ` It is registered as ${loopback}, but command lines listen on http.`
      : ''
  return `Unregistered redirect_uri: "${clip(redirectUri)}" is not registered for the application "${client.name}".${hint}`
}

function faultOf(params: AuthorizationParams, client: ClientOptions, context: JudgeContext): Fault | undefined {
  if (params.request !== undefined) return ['request_not_supported', 'request objects are not supported']
  if (params.request_uri !== undefined) return ['request_uri_not_supported', 'request_uri is not supported']
  return (
    profileFault(params, client, context.via) ??
    challengeFault(params, client, context.pkce) ??
    scopeFault(params, client, context) ??
    responseTypeFault(params, client, context) ??
    promptFault(params) ??
    claimsFault(params)
  )
}

/**
 * RFC 7636, 4.4.1; public clients always need it (RFC 9700, 2.1.1). What brings no code has nothing that a challenge would
 * protect.
 */
function challengeFault(
  params: AuthorizationParams,
  client: ClientOptions,
  pkce: JudgeContext['pkce'],
): Fault | undefined {
  const { code_challenge: challenge, code_challenge_method: method } = params
  if (challenge === undefined) {
    if (method !== undefined) return ['invalid_request', 'code_challenge_method without code_challenge']
    const withoutCode = params.response_type !== undefined && !bringsCode(spelledOut(params.response_type))
    if (needsChallenge(client, pkce) && !withoutCode)
      return ['invalid_request', 'PKCE is required: code_challenge must be sent']
    return undefined
  }
  if (!pkce.methods.includes((method ?? 'plain') as 'S256')) {
    return ['invalid_request', `code_challenge_method must be ${pkce.methods.join(' or ')}`]
  }
  if (!/^[\w.~-]{43,128}$/.test(challenge)) {
    return ['invalid_request', 'code_challenge must have 43 to 128 letters, digits or "-._~"']
  }
  return undefined
}

const needsChallenge = (client: ClientOptions, { enforce }: JudgeContext['pkce']): boolean =>
  isFapi(client) || (client.pkce === undefined ? client.public || enforce : client.pkce === 'required')

function scopeFault(params: AuthorizationParams, client: ClientOptions, { clients }: JudgeContext): Fault | undefined {
  const scopes = splitScopes(params.scope)
  if (!scopes.includes('openid')) return ['invalid_scope', 'Missing required scope(s) ["openid"].']
  const { unknown, untrusted } = scopeFaults(scopes, client.id, clients)
  if (unknown.length > 0) return ['invalid_scope', `Unrecognized scope(s): ${clip(unknown.join(' '))}`]
  if (untrusted.length > 0) return ['invalid_scope', `Client can't request scope(s): ${clip(untrusted.join(' '))}`]
  return undefined
}

function responseTypeFault(
  { response_type: type, response_mode: mode, redirect_uri: redirectUri, nonce }: AuthorizationParams,
  { origin }: ClientOptions,
  { responseTypes }: JudgeContext,
): Fault | undefined {
  if (type === undefined) return ['invalid_request', 'No response_type provided']
  const asked = spelledOut(type)
  const served = servedResponseTypes(responseTypes)
  if (!served.includes(asked)) {
    const listed = served.map((each) => `"${each}"`).join(', ')
    return ['unsupported_response_type', `the response types here are ${listed || 'none'}`]
  }
  if (!bringsTokens(asked)) return undefined
  // Nobody here vouches for where the tokens would go.
  if (origin !== undefined) return ['unauthorized_client', 'this application may only ask for a code']
  if (redirectUri === outOfBand) return ['invalid_request', 'out of band shows a code and nothing else']
  // OAuth 2.0 Multiple Response Types, 5: queries are logged, and sent on as referrer.
  if (mode === 'query') return ['invalid_request', 'tokens come by response_mode fragment or form_post, not query']
  // OpenID Connect Core, 3.2.2.1 and 3.3.2.11: it binds the ID token to this request.
  if (nonce === undefined && bringsIdToken(asked)) {
    return ['invalid_request', `response_type "${asked}" requires a nonce`]
  }
  return undefined
}

const prompts: ReadonlySet<string> = new Set<Prompt>(['none', 'login', 'consent', 'select_account'])

const promptsOf = ({ prompt }: AuthorizationParams): string[] => (prompt ?? '').split(' ').filter((word) => word !== '')

function promptFault(params: AuthorizationParams): Fault | undefined {
  const { max_age: maxAge } = params
  const words = promptsOf(params)
  const unknown = words.find((word) => !prompts.has(word))
  if (unknown !== undefined) return ['invalid_request', `Invalid prompt value "${clip(unknown)}"`]
  if (words.includes('none') && words.length > 1) {
    return ['invalid_request', 'prompt=none must not be combined with other values']
  }
  return maxAge === undefined || /^\d{1,15}$/.test(maxAge) ? undefined : ['invalid_request', 'Invalid max_age value']
}

function claimsFault({ claims, acr_values: levels }: AuthorizationParams): Fault | undefined {
  try {
    readClaims(claims, levels)
    return undefined
  } catch (error) {
    if (error instanceof ClaimsFault) return ['invalid_request', clip(error.message)]
    throw error
  }
}

function accept(
  params: AuthorizationParams,
  client: ClientOptions,
  returnTo: ErrorReturn,
  resources: readonly string[],
  hintedSubject: string | undefined,
): Judgement {
  const { redirectUri, mode } = returnTo
  const { state, nonce, max_age: maxAge, response_type: asked = '', dpop_jkt } = params
  const { resources: allowed = [] } = client
  const responseType = spelledOut(asked)
  const prompts = new Set(promptsOf(params) as Prompt[])
  const wanted = readClaims(params.claims, params.acr_values)
  return {
    accepted: true,
    client,
    redirectUri,
    returnTo,
    grantType: grantTypeOf(responseType),
    scopes: splitScopes(params.scope),
    ...(wanted && { wanted }),
    askApproval: prompts.has('consent') || params.approval_prompt === 'force',
    prompts,
    ...(maxAge !== undefined && { maxAge: Number(maxAge) }),
    ...(hintedSubject !== undefined && { hintedSubject }),
    locales: localesOf(params),
    params: {
      client_id: client.id,
      redirect_uri: redirectUri,
      response_type: responseType,
      scope: 'openid',
      response_mode: mode,
      ...(state !== undefined && { state }),
      ...(nonce !== undefined && { nonce }),
      ...challenge(params),
      ...(dpop_jkt !== undefined && { dpop_jkt }),
      // Addresses have no blanks.
      ...(allowed.length > 0 && resources.length > 0 && { resource: [...new Set(resources)].join(' ') }),
    },
  }
}

const localesOf = ({ ui_locales: tags = '' }: AuthorizationParams): string[] =>
  tags
    .split(' ')
    .filter((tag) => tag !== '')
    .slice(0, 10)
