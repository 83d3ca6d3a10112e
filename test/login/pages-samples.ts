/** One rendering of every page, in each of its shapes, with `text` in every field that somebody else could fill. */
import { enrolmentAddress, qrPicture } from '../../src/login/factors/totp.ts'
import { describeScopes, messagesFor } from '../../src/login/messages.ts'
import { openPages, type PageOptions, type Pages } from '../../src/login/pages.ts'

export const plainOptions: PageOptions = { issuer: 'Acme', theme: 'auto', extra: {} }

export const plainPages = (options: Partial<PageOptions> = {}): Pages =>
  openPages({ ...plainOptions, ...options }, '/dex')

const enrolment = enrolmentAddress('JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', 'Acme', '(corp) jane@example.com')

const TYPES = [
  'okta',
  'github',
  'local',
  'ldap',
  'google',
  'microsoft',
  'gitlab',
  'saml',
  'oidc',
  'mockCallback',
  './own.ts',
]

export function samples(pages: Pages, text: (benign: string) => string = (benign) => benign): Record<string, string> {
  const scopes = describeScopes(['openid', 'profile', 'email', 'groups', 'offline_access'], messagesFor())
  const connectors = TYPES.map((type) => ({
    id: 'x',
    name: text('Upstream'),
    type: text(type),
    url: text('/dex/auth/x?a=b&c=d'),
  }))
  const way = { href: text('https://client.example/cb?error=access_denied'), text: text('Back to Kargo') }
  return {
    choose: pages.choose({ connectors, clientName: text('Kargo') }),
    'choose nothing': pages.choose({ connectors: [] }),
    password: pages.password({ action: text('/dex/auth/local/login'), prompt: text('Email address') }),
    'password wrong': pages.password({
      action: text('/dex/auth/local/login'),
      prompt: text('Email address'),
      username: text('jane@example.com'),
      invalid: true,
      backUrl: text('/dex/auth?client_id=x'),
      connectorName: text('LDAP'),
    }),
    'password for a client': pages.password({ action: '/a', prompt: 'Email', clientName: text('Kargo') }),
    'password limited': pages.password({
      action: '/a',
      prompt: 'Email',
      message: text('Too many attempts. Wait a minute.'),
    }),
    'password remembered': pages.password({ action: '/a', prompt: 'Email', remember: true }),
    approval: pages.approval({
      action: text('/dex/approval?req=a'),
      fields: { req: text('abc') },
      clientName: text('Kargo'),
      userName: text('jane@example.com'),
      scopes: scopes.map((scope) => ({ name: text(scope.name), text: text(scope.text) })),
    }),
    'approval of a device': pages.approval({
      action: '/a',
      fields: {},
      clientName: text('Kargo CLI'),
      userName: text('jane'),
      scopes,
      forDevice: true,
    }),
    'approval of nothing': pages.approval({
      action: '/a',
      fields: {},
      clientName: 'Kargo',
      userName: 'jane',
      scopes: [],
    }),
    totp: pages.totp({ action: text('/dex/mfa/totp?state=a'), clientName: text('Kargo') }),
    'totp wrong': pages.totp({ action: '/t', message: text('This code is wrong.') }),
    'totp to set up': pages.totp({
      action: text('/dex/mfa/totp?state=a'),
      clientName: text('Kargo'),
      enrolment: {
        secret: text('JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'),
        address: text(enrolment),
        qr: text(qrPicture(enrolment)),
      },
    }),
    'totp to set up, wrong': pages.totp({
      action: '/t',
      enrolment: { secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', address: enrolment, qr: qrPicture(enrolment) },
      message: text('This code is wrong.'),
    }),
    webauthn: pages.webauthn({
      begin: text('/dex/mfa/webauthn/login/begin?state=a'),
      finish: text('/dex/mfa/webauthn/login/finish?state=a'),
      mode: 'login',
      onwards: text('/dex/mfa?state=a'),
      furtherUrl: text('/dex/mfa/webauthn?state=a&further=key'),
      clientName: text('Kargo'),
    }),
    'webauthn to set up': pages.webauthn({ begin: '/b', finish: '/f', mode: 'register', onwards: '/o' }),
    'webauthn to set up one more': pages.webauthn({ begin: '/b', finish: '/f', mode: 'further', onwards: text('/o') }),
    device: pages.device({ action: text('/dex/device/auth/verify_code'), userCode: text('ABCD-EFGH') }),
    'device wrong': pages.device({
      action: '/d',
      userCode: text('ABCD'),
      message: text('This code is invalid or has expired.'),
    }),
    'device done': pages.deviceDone({ clientName: text('Kargo CLI') }),
    'device refused': pages.deviceRefused({ clientName: text('Kargo CLI'), requestId: text('8d3a1f0c') }),
    failure: pages.failure({
      status: 403,
      title: text('You cannot log in'),
      message: text('You are in none of the required groups.'),
      nextStep: text('Ask the owner of your organization.'),
      requestId: text('8d3a1f0c-8b0e-4d9e-9f0f-5b1f9e0c1a2b'),
      button: way,
      link: way,
    }),
    'failure in short': pages.failure({ status: 503, message: text('GitHub does not answer.') }),
    'signed in': pages.signedIn({
      action: '/dex',
      userName: text('jane@example.com'),
      connectorName: text('Okta'),
      since: '3 hours ago',
      clients: [text('Kargo'), text('Argo CD')],
      groups: [text('admins')],
      tokens: [
        { name: text('Kargo CLI'), place: text('Firefox on Linux'), details: 'since 2 days ago', end: text('a') },
        { name: text('kubectl'), place: 'Device or command line', details: 'since yesterday, used now', end: 'b' },
      ],
      sessions: [{ name: text('Safari on macOS'), place: text('Kargo'), details: 'since yesterday', end: text('c') }],
      endAll: text('d'),
      logoutUrl: '/dex/logout',
    }),
    'signed in only here': pages.signedIn({
      action: '/dex',
      userName: 'jane',
      connectorName: 'Okta',
      since: 'now',
      clients: ['Kargo'],
      groups: [],
      tokens: [],
      sessions: [],
      endAll: 'd',
      logoutUrl: '/dex/logout',
    }),
    logout: pages.logout({
      action: text('/dex/logout/confirm'),
      fields: { request: text('abc') },
      userName: text('jane@example.com'),
      clientName: text('Kargo'),
    }),
    'logged out': pages.loggedOut({ wasLoggedIn: true, frames: [] }),
    'logged out on the way': pages.loggedOut({
      wasLoggedIn: true,
      frames: ['/dex/static/logo.svg'],
      goOn: { href: text('https://client.example/after'), clientName: text('Kargo') },
    }),
    'not logged in': pages.loggedOut({ wasLoggedIn: false, frames: [] }),
    home: pages.home({
      issuer: text('https://login.example/dex'),
      discoveryUrl: text('/dex/.well-known/openid-configuration'),
    }),
    post: pages.post({
      action: text('https://idp.example/sso'),
      fields: { [text('SAMLRequest')]: text('PHNhbWw+') },
      title: text('Continue'),
    }),
    oob: pages.oob({ code: text('xk2vhy3q7pzj5d4w') }),
  }
}
