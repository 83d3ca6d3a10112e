/** Who a GitHub token belongs to. */
import { failure } from '../../contract.ts'
import type { GitHubApi } from './api.ts'

export interface ProfileOptions {
  /** Enterprise Servers do not verify addresses: each counts as verified. */
  everyEmailVerified: boolean
  /** Such as `example.com` or `*.example.com`; each `*` stands for one label. */
  preferredEmailDomain: string | undefined
}

export interface Profile {
  /** Stays when the login is renamed. */
  id: string
  login: string
  name: string | undefined
  email: string
}

interface Email {
  email: string
  primary: boolean
  verified: boolean
}

/** @throws ConnectorFailure `login_refused` when there is no address to tell; and what calls throw */
export async function readProfile(api: GitHubApi, options: ProfileOptions): Promise<Profile> {
  const { id, login, name, email } = record(await api.get('/user'))
  if (!Number.isSafeInteger(id) || typeof login !== 'string' || login === '') {
    throw failure('upstream_invalid_response', 'GitHub named no person: id or login is missing')
  }
  const shown = typeof email === 'string' && email !== '' ? email : undefined
  return {
    id: String(id),
    login,
    name: typeof name === 'string' && name !== '' ? name : undefined,
    email: options.preferredEmailDomain || shown === undefined ? await chooseEmail(api, options) : shown,
  }
}

/** The first verified address of the preferred domain, else the verified primary one. */
async function chooseEmail(api: GitHubApi, options: ProfileOptions): Promise<string> {
  const { preferredEmailDomain: domain, everyEmailVerified } = options
  const all = (await api.list('/user/emails')).flatMap(readEmail)
  const verified = all.filter((entry) => everyEmailVerified || entry.verified)
  const preferred = domain ? verified.find(({ email }) => isOfDomain(email, domain)) : undefined
  const chosen = preferred ?? verified.find(({ primary }) => primary)
  if (chosen) return chosen.email
  throw failure('login_refused', 'github: user has no verified, primary email or preferred-domain email', {
    safe: 'Your GitHub account has no verified primary e-mail address. Verify one in the settings of GitHub and log in again.',
  })
}

function readEmail(value: unknown): Email[] {
  const { email, primary, verified } = record(value)
  if (typeof email !== 'string' || email === '') return []
  return [{ email, primary: primary === true, verified: verified === true }]
}

/** Label by label; an address with more than one `@` belongs to no domain. */
export function isOfDomain(email: string, domain: string): boolean {
  const [, host, ...more] = email.toLowerCase().split('@')
  if (host === undefined || more.length > 0) return false
  const labels = host.split('.')
  const wanted = domain.toLowerCase().split('.')
  return labels.length === wanted.length && wanted.every((label, index) => label === '*' || label === labels[index])
}

export const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
