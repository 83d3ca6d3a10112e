/* global oidc: the browser build of oidc-client-ts */

/** Where the provider is, and what this page is called there. */
const settings = await (await fetch('settings.json')).json()

/** The one rule of this application: who is in this group may change things, everybody else may look. */
const ADMIN_GROUP = 'admins'

const manager = new oidc.UserManager({
  authority: settings.issuer,
  client_id: settings.clientId,
  redirect_uri: `${location.origin}/`,
  post_logout_redirect_uri: `${location.origin}/`,
  scope: 'openid profile email groups offline_access',
  automaticSilentRenew: true,
  userStore: new oidc.WebStorageStateStore({ store: sessionStorage }),
})

const element = (id) => document.getElementById(id)
element('hint').textContent = settings.hint ?? ''
element('hint').hidden = !settings.hint
const show = (id) => {
  for (const each of ['signed-out', 'failed', 'signed-in']) element(each).hidden = each !== id
}

const readable = (name, value) =>
  ['iat', 'exp', 'nbf', 'auth_time'].includes(name)
    ? `${value}  (${new Date(value * 1000).toLocaleString()})`
    : typeof value === 'object'
      ? JSON.stringify(value)
      : String(value)

function showUser(user) {
  const claims = JSON.parse(
    new TextDecoder().decode(
      Uint8Array.from(atob(user.id_token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (letter) =>
        letter.charCodeAt(0),
      ),
    ),
  )
  const groups = claims.groups ?? []
  const isAdmin = groups.includes(ADMIN_GROUP)
  element('person').textContent = claims.name ?? claims.email ?? claims.sub
  element('role').textContent = isAdmin ? 'Admin' : 'Viewer'
  element('role-card').dataset.role = isAdmin ? 'admin' : 'viewer'
  element('role-reason').textContent = isAdmin
    ? `because the ID token lists the group “${ADMIN_GROUP}”: you may change things.`
    : `because the ID token does not list the group “${ADMIN_GROUP}”: you may look, and change nothing.`
  element('groups').replaceChildren(
    ...(groups.length > 0 ? groups : ['none']).map((group) => {
      const item = document.createElement('li')
      item.textContent = group
      return item
    }),
  )
  element('claims').replaceChildren(
    ...Object.entries(claims).flatMap(([name, value]) => {
      const term = document.createElement('dt')
      const text = document.createElement('dd')
      term.textContent = name
      text.textContent = readable(name, value)
      return [term, text]
    }),
  )
  element('renew').hidden = !user.refresh_token
  show('signed-in')
}

function showFailure(error) {
  // Browsers tell scripts no more than this of a server that is down, or that does not let this origin ask.
  const unreachable = error instanceof TypeError
  element('reason').textContent = unreachable
    ? `${settings.issuer} does not answer this page. Does it run, and does its web.allowedOrigins list ${location.origin}?`
    : [error.error ?? error.name, error.error_description ?? error.message].filter(Boolean).join(': ')
  show('failed')
}

const attempt = (action) => () => action().catch(showFailure)
const logIn = attempt(() => manager.signinRedirect())
element('login').addEventListener('click', logIn)
element('again').addEventListener('click', logIn)
element('logout').addEventListener(
  'click',
  attempt(async () => {
    await manager.revokeTokens(['refresh_token']).catch(() => undefined)
    // Ends the session at the provider as well, or the next login would not ask.
    await manager.signoutRedirect()
  }),
)
element('renew').addEventListener(
  'click',
  attempt(async () => {
    const user = await manager.signinSilent()
    showUser(user)
    element('note').textContent =
      `Renewed at ${new Date().toLocaleTimeString()} by refresh token: new tokens, and the groups were asked again.`
  }),
)

try {
  const parameters = new URLSearchParams(location.search)
  if (parameters.has('state') && !parameters.has('code') && !parameters.has('error')) {
    await manager.signoutCallback()
    history.replaceState(undefined, '', '/')
    show('signed-out')
  } else if (parameters.has('state')) {
    const user = await manager.signinCallback()
    history.replaceState(undefined, '', '/')
    showUser(user)
  } else {
    const user = await manager.getUser()
    if (user && !user.expired) showUser(user)
    else show('signed-out')
  }
} catch (error) {
  history.replaceState(undefined, '', '/')
  showFailure(error)
}
