/** For policy.test.ts: how each grant type and each reader is begun on one server and gone on with on the next. */
import type { GrantType, Reader } from '../../src/oidc/policy.ts'
import { type BrowserAnswer, openBrowser } from '../flows/browser.ts'
import {
  answerAt,
  authorize,
  device,
  errorOf,
  type FlowServer,
  logIn,
  peer,
  startLogin,
  tokensOf,
  web,
} from '../flows/server.ts'

type Use = GrantType | Reader

export interface UnderWay {
  /** What the endpoint says: `works`, an error with its status, or `inactive`. */
  answer?(server: FlowServer): Promise<string>
  /** What becomes of a login that the browser comes back with: `works`, `page 403`, `client access_denied`. */
  login?(server: FlowServer): Promise<string>
}

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const scope = 'openid email groups offline_access'
const request = { connector: 'corp', scope }

/** The fields of a token exchange that a connector judges. */
export const exchangeOf = (connector: string): Record<string, string> => ({
  grant_type: exchangeGrant,
  connector_id: connector,
  subject_token: 'x',
  subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  scope: 'openid',
})

const told = (answer: BrowserAnswer): string => (answer.status === 200 ? 'works' : errorOf(answer))
const shown = ({ active }: Record<string, unknown>): string => (active === true ? 'works' : 'inactive')

function toldInBrowser(answer: BrowserAnswer): string {
  if (answer.location === undefined) return answer.status === 200 ? 'works' : `page ${answer.status}`
  const { code, id_token: idToken, error } = answerAt(answer)
  return (code ?? idToken) ? 'works' : `client ${error}`
}

/** The browser has left for the upstream, and comes back when the server has restarted. */
async function departed(server: FlowServer, params: Record<string, string> = {}): Promise<() => Promise<string>> {
  const browser = openBrowser()
  const { location } = await browser.request(startLogin(server, { ...request, params }).url)
  return async () => toldInBrowser(await browser.follow(location!))
}

async function beginDevice(server: FlowServer) {
  const begun = (await server.post('/device/code', { scope }, device)).json()
  const browser = openBrowser()
  const choice = await browser.submit(await browser.request(server.url('/device')), {
    user_code: String(begun.user_code),
  })
  const link = choice.page().links.find(({ href }) => href.includes('/corp'))
  const way = new URL(link!.href, choice.url).href
  return { browser, way, code: String(begun.device_code) }
}

const ways: Record<Use, (server: FlowServer) => Promise<UnderWay>> = {
  async authorization_code(first) {
    const arrived = await authorize(first, request)
    return { answer: async (server) => told(await server.redeem(arrived)), login: await departed(first) }
  },

  implicit: async (first) => ({ login: await departed(first, { response_type: 'id_token token' }) }),

  async refresh_token(first) {
    const { tokens } = await logIn(first, request)
    return { answer: async (server) => told(await server.refresh(tokens.refresh_token!)) }
  },

  async [deviceGrant](first) {
    const approved = await beginDevice(first)
    await approved.browser.follow(approved.way)
    const waiting = await beginDevice(first)
    const { location } = await waiting.browser.request(waiting.way)
    return {
      answer: async (server) =>
        told(await server.token({ grant_type: deviceGrant, device_code: approved.code }, device)),
      login: async () => toldInBrowser(await waiting.browser.follow(location!)),
    }
  },

  [exchangeGrant]: async () => ({ answer: async (server) => told(await server.token(exchangeOf('corp'), web)) }),

  password: async () => ({
    answer: async (server) =>
      told(await server.token({ grant_type: 'password', username: 'jane', password: 'right', scope: 'openid' }, web)),
  }),

  client_credentials: async () => ({
    answer: async (server) => told(await server.token({ grant_type: 'client_credentials', scope: 'openid' }, web)),
  }),

  async introspection(first) {
    const { tokens } = await logIn(first, request)
    return { answer: async (server) => shown(await server.introspect(tokens.access_token, peer)) }
  },

  async refresh_introspection(first) {
    const { tokens } = await logIn(first, request)
    return {
      async answer(server) {
        const before = shown(await server.introspect(tokens.refresh_token!, peer))
        if (before !== 'works') return before
        // What the upstream says now is known when it was asked.
        const refreshed = await server.refresh(tokens.refresh_token!)
        const next = refreshed.status === 200 ? tokensOf(refreshed).refresh_token! : tokens.refresh_token!
        return shown(await server.introspect(next, peer))
      },
    }
  },

  async userinfo(first) {
    const { tokens } = await logIn(first, request)
    return { answer: async (server) => told(await server.userinfo(tokens.access_token)) }
  },
}

/** Everything that is tried. */
export const usesOf = Object.keys(ways) as Use[]

export const underWay = (server: FlowServer, use: Use): Promise<UnderWay> => ways[use](server)
