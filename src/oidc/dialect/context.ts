/**
 * Two habits of the engine's request context that do not fit behind proxies and in front of Go clients.
 *
 * Addresses come from the configured issuer, never from the request (rule X-1). Client credentials are read as Dex reads
 * them (RFC 6749, 2.3.1): Basic wins over the body, another scheme is no credential, a public client may send an empty
 * secret; the secret is hashed before it is compared, so that it may hold any character and comparing takes one time.
 */
import { createHash } from 'node:crypto'
import { type OIDCContext as EngineContext, errors, type Provider } from 'oidc-provider'
import { placeholderAlgorithm } from '../keys/placeholder.ts'
import { exchangeGrant } from '../policy.ts'
import { stateOf } from '../state.ts'

type Fields = Record<string, unknown>

export interface CredentialClients {
  get(id: string): { secret?: string; resources?: string[] } | undefined
}

export interface ContextOptions {
  clients: CredentialClients
  grantTypes: readonly string[]
  /** Paths of the layout, by Dex's. */
  aliases: ReadonlyMap<string, string>
  introspectionQuery: boolean | undefined
  /** That signs ID tokens. */
  algorithm(): string
}

/** Stands for a token that the engine would refuse by its form. */
export const presentedHandle = 'presented'

export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex')

export function contextOf(
  provider: Provider,
  { clients, grantTypes, aliases, introspectionQuery, algorithm }: ContextOptions,
): typeof EngineContext {
  const Base = provider.OIDCContext
  class OIDCContext extends Base {
    #body: Fields | undefined

    override urlFor(name: string, options?: Fields): string {
      const url = provider.urlFor(name, options)
      if (aliases.size === 0) return url
      const { ctx } = this as unknown as { ctx: CredentialContext }
      const path = provider.pathFor(name, { ...options, mountPath: '' })
      // The endpoint itself is known by the path that it was called at: proofs of possession name that (RFC 9449, 4.3).
      const told = name === this.route ? stateOf(ctx).alias : aliases.get(path)
      return told === undefined ? url : `${provider.issuer.replace(/\/$/, '')}${told}${new URL(url).search}`
    }

    // @ts-expect-error The types declare a field, which the engine assigns once it has parsed the form.
    override get body(): Fields | undefined {
      return this.#body
    }

    override set body(fields: Fields) {
      const { ctx } = this as unknown as { ctx: CredentialContext }
      if (registrationRoutes.has(this.route)) {
        this.#body = registration(fields, algorithm())
        return
      }
      const { grant_type: grantType } = fields
      // Before who asks: Dex looks at it first, and so learns a client what is wrong.
      if (this.route === 'token' && typeof grantType === 'string' && !grantTypes.includes(grantType)) {
        throw new errors.UnsupportedGrantType()
      }
      const sent = { ...fields }
      if (introspectionQuery && this.route === 'introspection') takeQuery(ctx, sent)
      // At userinfo the header has no credentials of a client, but the token.
      if (this.route === 'userinfo') this.#body = fields
      else this.#body = present(ctx, this.route, known(credentials(ctx, sent, clients), clients))
    }
  }
  return OIDCContext as typeof EngineContext
}

interface CredentialContext {
  state: unknown
  query: Record<string, string | string[] | undefined>
  req: { headers: Record<string, string | string[] | undefined> }
}

/**
 * Parameters that stand in the query, for software that was written against an Okta which takes them there.
 * @throws errors.InvalidRequest for one that stands in both places
 */
function takeQuery(ctx: CredentialContext, fields: Fields): void {
  if (stateOf(ctx).alias === undefined) return
  for (const name of ['token', 'token_type_hint']) {
    const value = ctx.query[name]
    if (value === undefined) continue
    if (fields[name] !== undefined) throw new errors.InvalidRequest(`'${name}' parameter must not be provided twice`)
    fields[name] = value
  }
}

/** Routes where the parameter `token` names a token of any kind. */
const tokenRoutes = new Set(['introspection', 'revocation'])

/** Their bearer token is no credential of a client, and their body is no form. */
const registrationRoutes = new Set(['registration', 'client_update'])

/**
 * The engine knows no algorithm of ours, since keys that sign are none of its own; and of a secret only the hash is kept
 * that a change would be compared with (RFC 7592, 2.2).
 */
function registration(fields: unknown, algorithm: string): Fields | undefined {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return fields as undefined
  const { id_token_signed_response_alg: _, ...more } = fields as Fields
  for (const name of ['id_token_signed_response_alg', 'userinfo_signed_response_alg']) {
    const wanted = (fields as Fields)[name]
    if (wanted !== undefined && wanted !== algorithm) {
      throw new errors.InvalidClientMetadata(`${name} must be ${algorithm}`)
    }
  }
  if (more.userinfo_signed_response_alg !== undefined) more.userinfo_signed_response_alg = placeholderAlgorithm
  if (typeof more.client_secret === 'string') more.client_secret = hashSecret(more.client_secret)
  return more
}

/** Puts a handle in the place of the token: the engine refuses JWTs here, and ours are JWTs. */
function present(ctx: CredentialContext, route: string, fields: Fields): Fields {
  if (!tokenRoutes.has(route) || typeof fields.token !== 'string' || fields.token === '') return fields
  stateOf(ctx).presented = fields.token
  return { ...fields, token: presentedHandle }
}

/** `resource` of a client for which none is configured is passed over, as in Dex: some clients send it wherever they are. */
function known(fields: Fields, clients: CredentialClients): Fields {
  const { resource, ...rest } = fields
  const { resources = [] } = (typeof fields.client_id === 'string' && clients.get(fields.client_id)) || {}
  // Token exchange says itself that it knows none: such a token would be for somebody else than its client believes.
  const kept = resources.length > 0 || fields.grant_type === exchangeGrant
  return resource === undefined || kept ? fields : rest
}

/** Brings what the client sent into the one form that the engine compares: id and hash of the secret, in the fields. */
function credentials(ctx: CredentialContext, fields: Fields, clients: CredentialClients): Fields {
  const { headers } = ctx.req
  const { authorization } = headers
  delete headers.authorization
  if (typeof authorization === 'string' && /^basic /i.test(authorization)) {
    const [id, secret] = parseBasic(authorization, stateOf(ctx).alias !== undefined)
    stateOf(ctx).usedBasic = true
    fields.client_id = id
    fields.client_secret = secret
  }
  if (typeof fields.client_secret !== 'string') return fields
  const known = typeof fields.client_id === 'string' ? clients.get(fields.client_id) : undefined
  // Go's OAuth library sends public clients that way (rule X-3). Whoever has a secret is refused without it.
  if (fields.client_secret === '' && known?.secret === undefined) delete fields.client_secret
  else fields.client_secret = hashSecret(fields.client_secret)
  return fields
}

/**
 * RFC 7617; id and secret are form-encoded inside (RFC 6749, 2.3.1).
 * @param bare an id alone is one with an empty secret: Okta's library for browsers revokes tokens so
 */
function parseBasic(header: string, bare: boolean): [id: string, secret: string] {
  const text = Buffer.from(header.slice('basic '.length).trim(), 'base64').toString('utf8')
  const at = text.indexOf(':')
  if (at < 0 && !bare) throw new errors.InvalidRequest('the Authorization header holds no id and secret')
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part.replaceAll('+', ' '))
    } catch {
      throw new errors.InvalidRequest('client id or secret improperly encoded in the Authorization header')
    }
  }
  return at < 0 ? [decode(text), ''] : [decode(text.slice(0, at)), decode(text.slice(at + 1))]
}
