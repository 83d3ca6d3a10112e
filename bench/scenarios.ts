/** What is measured: one operation each, on a server with one configuration. */
import { browse, send } from './agent.ts'

const CLIENT = { id: 'bench', secret: 'bench-secret', callback: 'http://127.0.0.1:9/callback' }
const BASIC = `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}`
const HASH = '$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W'
const PASSWORD = 'password'

/** RFC 7636, appendix B: made once, since the load must cost nothing. */
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

/** How many operations run at once; each refresh chain has a person of its own, since Dex keeps one token for each. */
export const LANES = 8

export const configuration = (issuer: string, listen: string, upstream: string, storage: object) => ({
  issuer,
  storage,
  web: { http: listen },
  logger: { level: 'error' },
  oauth2: {
    skipApprovalScreen: true,
    grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
  },
  enablePasswordDB: true,
  staticPasswords: Array.from({ length: LANES }, (_, lane) => ({
    email: `user${lane}@example.com`,
    hash: HASH,
    username: `user${lane}`,
    userID: `user-${lane}`,
    groups: ['admin', 'staff'],
  })),
  connectors: [
    { type: 'mockCallback', id: 'mock', name: 'Mock' },
    {
      type: 'oidc',
      id: 'upstream',
      name: 'Upstream',
      config: {
        issuer: upstream,
        clientID: 'countersign',
        clientSecret: 'upstream-secret',
        redirectURI: `${issuer}/callback`,
        scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
        insecureEnableGroups: true,
      },
    },
  ],
  staticClients: [{ id: CLIENT.id, secret: CLIENT.secret, name: 'Bench', redirectURIs: [CLIENT.callback] }],
})

interface Tokens {
  access_token: string
  refresh_token: string
  id_token: string
}

const post = (url: string, form: Record<string, string>) =>
  send(url, { method: 'POST', headers: { Authorization: BASIC }, body: new URLSearchParams(form).toString() })

async function token(issuer: string, form: Record<string, string>): Promise<Tokens> {
  const answer = await post(`${issuer}/token`, form)
  const tokens = answer.status === 200 ? (JSON.parse(answer.body) as Tokens) : undefined
  if (!tokens?.id_token || !tokens.access_token || !tokens.refresh_token) {
    throw new Error(`token endpoint answered ${answer.status}: ${answer.body.slice(0, 300)}`)
  }
  return tokens
}

export async function login(issuer: string, connector: string, lane: number): Promise<Tokens> {
  const query = new URLSearchParams({
    client_id: CLIENT.id,
    redirect_uri: CLIENT.callback,
    response_type: 'code',
    scope: 'openid profile email groups offline_access',
    state: 'c3RhdGUtb2YtdGhlLWJlbmNo',
    nonce: 'bm9uY2Utb2YtdGhlLWJlbmNo',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
  })
  const credentials = { login: `user${lane}@example.com`, password: PASSWORD }
  const arrived = await browse(`${issuer}/auth/${connector}?${query}`, CLIENT.callback, credentials)
  const code = arrived.get('code')
  if (code === null) throw new Error(`no code: ${arrived}`)
  return token(issuer, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: CLIENT.callback,
    code_verifier: VERIFIER,
  })
}

/** Gets one ready, then is called again and again by one lane. */
export type Operation = () => Promise<unknown>

export interface Scenario {
  key: string
  title: string
  warmUp: number
  /** At most this part of the other program's processor time. */
  goal?: number
  /** Dex knows it from the version after 2.45: a program that refuses it has no figure. */
  optional?: true
  /** Times as many operations: cheap ones cost less than the clock of processor time can tell. */
  factor?: number
  prepare(issuer: string, lane: number): Promise<Operation>
}

const refreshing = (connector: string) => async (issuer: string, lane: number) => {
  let { refresh_token } = await login(issuer, connector, lane)
  return async () => {
    ;({ refresh_token } = await token(issuer, { grant_type: 'refresh_token', refresh_token }))
  }
}

const expect200 = async (answer: Promise<{ status: number; body: string }>, wanted = '') => {
  const { status, body } = await answer
  if (status !== 200 || !body.includes(wanted)) throw new Error(`status ${status}: ${body.slice(0, 300)}`)
}

export const scenarios: Scenario[] = [
  {
    key: 'login',
    title: 'login without upstream',
    warmUp: 1500,
    goal: 0.85,
    prepare: async (issuer, lane) => () => login(issuer, 'mock', lane),
  },
  {
    key: 'login-upstream',
    title: 'login through an OIDC upstream',
    warmUp: 1500,
    goal: 1.0,
    prepare: async (issuer, lane) => () => login(issuer, 'upstream', lane),
  },
  { key: 'refresh', title: 'refresh of a local user', warmUp: 500, goal: 0.6, prepare: refreshing('local') },
  {
    key: 'refresh-upstream',
    title: 'refresh, upstream asked',
    warmUp: 500,
    goal: 0.65,
    prepare: refreshing('upstream'),
  },
  {
    key: 'client-credentials',
    title: 'client credentials, with an ID token',
    warmUp: 1500,
    optional: true,
    prepare: async (issuer) => {
      const form = { grant_type: 'client_credentials', scope: 'openid profile' }
      return () => expect200(post(`${issuer}/token`, form), '"id_token"')
    },
  },
  {
    key: 'introspection',
    title: 'introspection',
    warmUp: 1500,
    factor: 5,
    prepare: async (issuer, lane) => {
      const { access_token } = await login(issuer, 'mock', lane)
      return () => expect200(post(`${issuer}/token/introspect`, { token: access_token }), '"active":true')
    },
  },
  {
    key: 'userinfo',
    title: 'userinfo',
    warmUp: 500,
    factor: 20,
    goal: 0.75,
    prepare: async (issuer, lane) => {
      const { access_token } = await login(issuer, 'mock', lane)
      return () => expect200(send(`${issuer}/userinfo`, { headers: { Authorization: `Bearer ${access_token}` } }))
    },
  },
  {
    key: 'keys',
    title: '/keys',
    warmUp: 500,
    factor: 20,
    goal: 0.6,
    prepare: async (issuer) => () => expect200(send(`${issuer}/keys`)),
  },
  {
    key: 'discovery',
    title: 'discovery',
    warmUp: 500,
    factor: 20,
    goal: 0.6,
    prepare: async (issuer) => () => expect200(send(`${issuer}/.well-known/openid-configuration`)),
  },
]
