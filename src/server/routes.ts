/** What this server answers, one line a route. The pattern is the label in logs and metrics; paths are below the issuer's. */
import type { Middleware } from 'koa'
import { layoutAliases, paths } from '../oidc/discovery.ts'
import type { OidcOptions } from '../oidc/options.ts'
import { stateOf } from '../oidc/state.ts'
import { approvalPage, approve } from './handlers/approval.ts'
import { authorize, authorizeForm } from './handlers/authorize.ts'
import { deviceChoice, deviceConnector, devicePage, verifyCode } from './handlers/device.ts'
import { deviceAuthorization, introspection, revocation, token } from './handlers/engine.ts'
import { onwards, totp, totpPage } from './handlers/factors.ts'
import { callback, callbackForm, departByPost, password, passwordForm } from './handlers/login.ts'
import { confirmLogout, confirmPath, logout, logoutForm } from './handlers/logout.ts'
import { tripPaths } from './handlers/logout-departure.ts'
import { health, userinfo } from './handlers/programs.ts'
import { pushedAuthorization } from './handlers/pushed.ts'
import { register, registered } from './handlers/registration.ts'
import { endHolding, home } from './handlers/signed-in.ts'
import { departLogoutByPost, logoutCallback, logoutCallbackForm } from './handlers/upstream-logout.ts'
import { messagePath, upstreamMessage } from './handlers/upstream-message.ts'
import { beginKey, finishKey, webAuthnPage } from './handlers/webauthn.ts'
import type { Services } from './services.ts'

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  /**
   * Who reads the answer: failures are pages for people and JSON for programs. A `script` is one of our own pages: it reads
   * JSON too, and brings the cookies of its page, which programs never do.
   */
  reader: 'person' | 'program' | 'script'
  /** Scripts of other origins may read it (`web.allowedOrigins`). */
  cors?: true
  handler: (services: Services) => Middleware
  /** Absent: always there. */
  served?: (services: Services) => boolean
}

const person = (method: Route['method'], path: string, handler: Route['handler']): Route => ({
  method,
  path,
  reader: 'person',
  handler,
})
const script = (path: string, handler: Route['handler']): Route => ({ method: 'POST', path, reader: 'script', handler })
const program = (method: Route['method'], path: string, handler: Route['handler'], cors = false): Route => ({
  method,
  path,
  reader: 'program',
  handler,
  ...(cors && { cors }),
})

/** Only where applications may register themselves. */
const registering = (method: Route['method'], path: string, handler: Route['handler']): Route => ({
  ...program(method, path, handler, true),
  served: ({ oidc }) => oidc.dynamicClients?.registration !== undefined,
})

export const routes: readonly Route[] = [
  person('GET', '/', home),
  person('POST', '/', endHolding),
  person('GET', paths.authorization, authorize),
  person('POST', paths.authorization, authorizeForm),
  person('GET', `${paths.authorization}/:connector`, authorize),
  person('POST', `${paths.authorization}/:connector`, authorizeForm),
  person('GET', `${paths.authorization}/:connector/login`, passwordForm),
  person('POST', `${paths.authorization}/:connector/login`, password),
  person('GET', `${paths.authorization}/:connector/post`, departByPost),
  person('GET', '/callback', callback),
  person('POST', '/callback', callbackForm),
  person('GET', '/callback/:connector', callback),
  person('POST', '/callback/:connector', callbackForm),
  person('GET', '/approval', approvalPage),
  person('POST', '/approval', approve),
  person('GET', paths.logout, logout),
  person('POST', paths.logout, logoutForm),
  person('POST', confirmPath, confirmLogout),
  person('GET', '/mfa', onwards),
  person('GET', '/mfa/totp', totpPage),
  person('POST', '/mfa/totp', totp),
  person('GET', '/mfa/webauthn', webAuthnPage),
  script('/mfa/webauthn/register/begin', beginKey('register')),
  script('/mfa/webauthn/register/finish', finishKey('register')),
  script('/mfa/webauthn/login/begin', beginKey('login')),
  script('/mfa/webauthn/login/finish', finishKey('login')),
  person('GET', tripPaths.post, departLogoutByPost),
  person('GET', tripPaths.callback, logoutCallback),
  person('POST', tripPaths.callback, logoutCallbackForm),
  program('GET', messagePath, upstreamMessage),
  program('POST', messagePath, upstreamMessage),
  person('GET', paths.device, devicePage),
  person('POST', '/device/auth/verify_code', verifyCode),
  person('GET', '/device/auth/verify_code', deviceChoice),
  person('GET', '/device/auth/:connector', deviceConnector),
  program('POST', paths.deviceAuthorization, deviceAuthorization),
  program('POST', paths.pushed, pushedAuthorization, true),
  program('POST', paths.token, token, true),
  program('POST', paths.introspection, introspection, true),
  program('POST', paths.revocation, revocation, true),
  registering('POST', paths.registration, register),
  registering('GET', `${paths.registration}/:clientId`, registered),
  registering('PUT', `${paths.registration}/:clientId`, registered),
  registering('DELETE', `${paths.registration}/:clientId`, registered),
  program('GET', paths.userinfo, userinfo, true),
  program('POST', paths.userinfo, userinfo, true),
  program('GET', '/healthz', health),
]

/** The table with the paths of the layout beside Dex's: the engine is called at Dex's whichever it was. */
export function routesOf(options: Pick<OidcOptions, 'issuer' | 'layout'>): readonly Route[] {
  const aliases = layoutAliases(options)
  const further = routes.flatMap((route): Route[] => {
    const alias = aliases.get(route.path)
    return alias === undefined ? [] : [{ ...route, path: alias, handler: calledAt(alias, route) }]
  })
  return [...routes, ...further]
}

const calledAt =
  (alias: string, { path, handler }: Route): Route['handler'] =>
  (services) => {
    const handle = handler(services)
    return (ctx, next) => {
      stateOf(ctx).alias = alias
      ctx.path = path
      return handle(ctx, next)
    }
  }

/** As Dex labels it: `/auth/{connector}`. */
export const labelOf = (path: string): string => path.replace(/:(\w+)/g, '{$1}')
