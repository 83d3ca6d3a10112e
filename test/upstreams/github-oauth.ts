/** GitHub's authorization and token endpoints, with errors that come with status 200 and tokens that end. */
import { createHash, randomBytes } from 'node:crypto'
import type { GitHubAccount, GitHubCall, GitHubReply } from './github-account.ts'

const random = (prefix: string) => `${prefix}_${randomBytes(18).toString('hex')}`

/** Milliseconds that a code lives. */
const codeLife = 10 * 60 * 1000

/** A person has this many tokens of one application; one more, and the oldest ends. */
const mostTokens = 10

const tokenLife = 28_800
const refreshLife = 15_897_600

export function authorize(account: GitHubAccount, { query }: GitHubCall): GitHubReply {
  if (query.get('client_id') !== account.clientId) return { status: 404, body: 'Not Found' }
  const redirectUri = query.get('redirect_uri') ?? account.redirectUri
  const back = (params: Record<string, string>): GitHubReply => {
    const url = new URL(account.redirectUri)
    for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
    const state = query.get('state')
    if (state !== null) url.searchParams.set('state', state)
    return { status: 302, headers: { location: url.href } }
  }
  if (redirectUri !== account.redirectUri) {
    return back({
      error: 'redirect_uri_mismatch',
      error_description: 'The redirect_uri MUST match the registered URL.',
    })
  }
  if (account.deny)
    return back({ error: account.deny, error_description: 'The user has denied your application access.' })
  const challenge = query.get('code_challenge')
  if (challenge !== null && !account.ignoresPkce) {
    if (query.get('code_challenge_method') !== 'S256' || !/^[\w-]{43}$/.test(challenge)) {
      return { status: 400, body: 'code_challenge is refused' }
    }
  }
  const asked = (query.get('scope') ?? '').split(' ').filter(Boolean)
  const scopes = account.app === 'app' ? [] : (account.grants ?? asked)
  const code = random('code')
  account.codes.set(code, { scopes, redirectUri, challenge, expiresAt: account.now() + codeLife })
  return back({ code })
}

/** Form-encoded unless JSON is asked for, as GitHub does. */
export function token(account: GitHubAccount, call: GitHubCall): GitHubReply {
  const answer = answerOf(account, call)
  if (String(call.headers.accept).includes('application/json')) return { status: 200, body: answer }
  const form = new URLSearchParams(
    Object.entries(answer).map(([name, value]): [string, string] => [name, String(value)]),
  )
  return { status: 200, body: form.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }
}

type Answer = Record<string, string | number>

const refuse = (error: string, description: string): Answer => ({
  error,
  error_description: description,
  error_uri: 'https://docs.github.com/apps/troubleshooting',
})

function answerOf(account: GitHubAccount, call: GitHubCall): Answer {
  const { form } = call
  const [id, secret] = credentials(account, call)
  if (id !== account.clientId || secret !== account.clientSecret) {
    return refuse('incorrect_client_credentials', 'The client_id and/or client_secret passed are incorrect.')
  }
  if (form.get('grant_type') === 'refresh_token') return renew(account, form.get('refresh_token') ?? '')
  if (account.codeError) return refuse(account.codeError, 'arranged')
  const wrong = refuse('bad_verification_code', 'The code passed is incorrect or expired.')
  const code = form.get('code') ?? ''
  const known = account.codes.get(code)
  account.codes.delete(code)
  if (!known || known.expiresAt < account.now()) return wrong
  if (form.has('redirect_uri') && form.get('redirect_uri') !== known.redirectUri) {
    return refuse('redirect_uri_mismatch', 'The redirect_uri MUST match the registered URL for this application.')
  }
  if (known.challenge !== null && !account.ignoresPkce) {
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (verifier !== known.challenge) return wrong
  }
  return issue(account, known.scopes)
}

function credentials({ basic }: GitHubAccount, { form, headers }: GitHubCall): (string | null | undefined)[] {
  const sent = /^Basic (.+)$/.exec(String(headers.authorization))?.[1]
  if (sent === undefined || !basic) return [form.get('client_id'), form.get('client_secret')]
  return Buffer.from(sent, 'base64').toString().split(':').map(decodeURIComponent)
}

function issue(account: GitHubAccount, scopes: string[]): Answer {
  const expires = account.app === 'app'
  const accessToken = random(expires ? 'ghu' : 'gho')
  account.tokens.set(accessToken, { scopes, ...(expires && { expiresAt: account.now() + tokenLife * 1000 }) })
  const [oldest] = account.tokens.keys()
  if (account.tokens.size > mostTokens && oldest !== undefined) account.tokens.delete(oldest)
  const answer = { access_token: accessToken, token_type: 'bearer', scope: scopes.toSorted().join(',') }
  if (!expires) return answer
  const refreshToken = random('ghr')
  account.refreshTokens.set(refreshToken, accessToken)
  return { ...answer, expires_in: tokenLife, refresh_token: refreshToken, refresh_token_expires_in: refreshLife }
}

/** The old refresh token ends with this, and its access token with it. */
function renew(account: GitHubAccount, refreshToken: string): Answer {
  const accessToken = account.refreshTokens.get(refreshToken)
  if (accessToken === undefined) {
    return refuse('bad_refresh_token', 'The refresh token passed is incorrect or expired.')
  }
  account.refreshTokens.delete(refreshToken)
  account.tokens.delete(accessToken)
  return issue(account, [])
}
