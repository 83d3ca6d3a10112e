/**
 * Every sentence that a person reads on our pages. A further language is one more object of the same shape in `catalogues`.
 */

const english = {
  /** BCP 47 tag, for the `lang` attribute. */
  lang: 'en',
  /** The direction that the language is written in, for the `dir` attribute. */
  dir: 'ltr' as 'ltr' | 'rtl',
  /** Below a heading: which application the login is for. */
  towards: (client: string) => `to continue to ${client}`,
  tooMany: (seconds: number) => `Too many tries. Wait ${duration(seconds)}, then try again.`,
  choose: {
    title: (issuer: string) => `Log in to ${issuer}`,
    hint: 'Choose how you would like to log in.',
    connector: (name: string) => `Log in with ${name}`,
    none: 'No login method is set up yet. Ask whoever runs this service.',
    other: 'Choose another login method',
  },
  password: {
    title: (connector: string | undefined) => (connector ? `Log in with ${connector}` : 'Log in to your account'),
    password: 'Password',
    submit: 'Log in',
    remember: 'Stay logged in on this browser',
    /** Begins with the prompt, whose capital letters are the operator's. */
    invalid: (prompt: string) => `${prompt.slice(0, 1).toUpperCase()}${prompt.slice(1)} or password is wrong.`,
  },
  approval: {
    title: 'Grant access',
    asks: (client: string) => `${client} would like to:`,
    asksNothing: (client: string) => `${client} asks for no personal information, only to know that it is you.`,
    forDevice: 'This logs in a device or command line. Go on only if it is yours and you started this login.',
    /** Nobody who runs this service set the client up. */
    unvouched: (host: string) =>
      `Whoever runs this service does not know this application. What you grant goes to ${host}. Go on only if you trust that place.`,
    loggedInAs: (user: string) => `Logged in as ${user}`,
    approve: 'Grant access',
    reject: 'Cancel',
  },
  /** What a scope lets a client do, in the order of the page; scopes that are not listed are not shown. */
  scopes: {
    profile: 'See your name and basic profile',
    email: 'See your email address',
    groups: 'See the groups you belong to',
    offline_access: 'Keep this access while you are away',
  } as Record<string, string>,
  totp: {
    title: 'Enter your code',
    hint: 'Open your authenticator app and enter the code that it shows now.',
    code: 'Code of six digits',
    submit: 'Continue',
    wrong:
      'This code is wrong. Enter the code that your app shows now; if it is refused again, check the clock of your phone.',
    used: 'This code was used already. Wait until your app shows the next one.',
    enrol: {
      title: 'Set up your authenticator app',
      hint: 'From now on you need a code of an authenticator app to log in.',
      scan: 'Scan this picture with the app:',
      picture: 'QR code with the key below, for an authenticator app',
      open: 'Open the app on this device',
      key: 'Or enter this key in the app:',
      confirm: 'Then enter the code that the app shows:',
      over: 'That took too long, and the key is another one now. Remove the old entry from your app and set it up again.',
    },
  },
  webauthn: {
    title: 'Use your security key',
    hint: 'Have your security key or passkey at hand and press the button.',
    submit: 'Use security key',
    further: 'Use it, then add another one',
    enrol: {
      title: 'Set up a security key',
      hint: 'From now on you need a security key or a passkey to log in.',
      furtherTitle: 'Add another security key',
      furtherHint: 'With a second key you can still log in when the first one is lost.',
      submit: 'Set up security key',
      skip: 'Go on without adding one',
    },
    noScript: 'This step needs JavaScript. Switch it on for this page and load it again.',
    unsupported: 'This browser offers no security keys here. Use another browser.',
    cancelled: 'Nothing was done: it was cancelled, took too long, or the key is not the right one. Try again.',
    known: 'This security key is set up already. Use another one.',
    failed: 'The security key was not accepted. Try again, or use another one.',
    unreachable: 'The login service did not answer. Try again.',
    tooMany: 'You have set up as many security keys as there can be.',
    elsewhere: 'This login is at another step now. Load the page again.',
  },
  factor: {
    missing: 'Your second factor is missing.',
    missingTitle: 'One more step',
    missingNext: 'Show it, then the login goes on.',
    submit: 'Go on',
  },
  device: {
    title: 'Connect a device',
    hint: 'Enter the code that your device or command line shows.',
    /** The code came with the address. */
    compare: 'Check that your device or command line shows this code.',
    caution: 'Go on only if you started this login yourself. Never use a code that somebody sent you.',
    code: 'Code',
    submit: 'Continue',
    wrong: 'This code is wrong or has run out. Check what your device shows now.',
    over: 'This login has ended. Enter the code once more, or start again on your device.',
    again: 'Enter the code again',
  },
  deviceDone: {
    title: 'You are logged in',
    message: (client: string) => `${client} goes on by itself now.`,
    next: 'You can close this page and return to your device.',
  },
  deviceRefused: {
    title: 'Access denied',
    message: (client: string) => `${client} gets no access, as you decided.`,
    next: 'You can close this page. To log in after all, start again on your device.',
  },
  /** How long ago something was. */
  ago: (seconds: number) => ago(seconds, 'en'),
  signedIn: {
    title: 'Your logins',
    by: 'Logged in with',
    here: 'Applications in this browser',
    groups: 'Groups',
    logout: 'Log out in this browser',
    tokens: 'Applications that stay logged in',
    tokensHint: 'They can act for you without asking you again, also after you have logged out here.',
    sessions: 'Other browsers',
    sessionsHint: 'You are logged in there as well.',
    somewhere: 'Unknown browser',
    device: 'Device or command line',
    details: (since: string, used: string) => (since === used ? `since ${since}` : `since ${since}, used ${used}`),
    end: 'End',
    endNamed: (name: string) => `End ${name}`,
    endAll: 'Log out everywhere',
  },
  logout: {
    title: 'Log out',
    asks: (user: string) => `You are logged in as ${user}.`,
    hint: 'Applications that asked you to log in may keep you logged in there by themselves.',
    forClient: (client: string) => `${client} would like to log you out.`,
    submit: 'Log out',
    stay: 'Stay logged in',
  },
  loggedOut: {
    title: 'You are logged out',
    message: 'This browser is not logged in here any more.',
    next: 'You can close this page.',
    atUpstream: (connector: string) => `Log out at ${connector}`,
  },
  notLoggedIn: {
    title: 'Nobody is logged in',
    message: 'This browser is not logged in here.',
    next: 'You can close this page.',
  },
  failure: {
    title: 'Login failed',
    status: (status: number) => `Error ${status}`,
    request: 'Request number',
    next: 'Go back to the application and try again. If that does not help, tell its operator the request number below.',
    nextWithoutId: 'Go back to the application and try again. If that does not help, tell its operator.',
  },
  home: {
    title: 'Login service',
    message:
      'Applications bring you here to log in, and back when you have. There is nothing to do now: open your application.',
    issuer: 'Issuer',
    discovery: 'OpenID Connect discovery document',
  },
  post: {
    hint: 'If nothing happens by itself, press the button.',
    submit: 'Continue',
  },
  /** The person is known, and in none of the groups that the application requires. */
  outsider: {
    title: (client: string) => `You may not use ${client}`,
    message: (user: string, client: string) =>
      `You are logged in as ${user}, and in none of the groups that may use ${client}.`,
    next: (client: string, contact?: string) =>
      contact === undefined
        ? `Ask whoever runs ${client} to add you to a group that may use it, then log in again.`
        : `Ask ${contact} to add you to a group that may use ${client}, then log in again.`,
  },
  clientDisabled: {
    message: (client: string) => `${client} is switched off here: nobody can log in to it at the moment.`,
    next: 'Ask whoever runs the application when it will be back.',
  },
  /** Of a button, or of the page that leads there: back to the application that asked for the login. */
  back: (client?: string) => `Back to ${client ?? 'the application'}`,
  oob: {
    title: 'Login successful',
    message: 'Copy this code, switch to your application and paste it there.',
    code: 'Code',
  },
}

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const

function ago(seconds: number, language: string): string {
  const [unit, size] = units.find(([, length]) => seconds >= length) ?? ['second', 0]
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  return size === 0 ? format.format(0, 'second') : format.format(-Math.floor(seconds / size), unit)
}

/** As a person would say it: minutes where seconds would be too many. */
function duration(seconds: number): string {
  if (seconds > 90) return `${Math.ceil(seconds / 60)} minutes`
  return seconds === 1 ? 'one second' : `${seconds} seconds`
}

/** Texts of one language. */
export type Messages = typeof english

const catalogues: Readonly<Record<string, Messages>> = { en: english }

/**
 * The texts for a person who prefers `locales` (BCP 47, best first, as in `ui_locales`; OpenID Connect Core, 3.1.2.1).
 * A regional variant falls back to its language, an unknown language to English.
 */
export function messagesFor(locales: readonly string[] = []): Messages {
  for (const locale of locales) {
    const tag = locale.toLowerCase()
    const language = tag.split('-')[0]!
    if (Object.hasOwn(catalogues, tag)) return catalogues[tag]!
    if (Object.hasOwn(catalogues, language)) return catalogues[language]!
  }
  return english
}

/** What the approval page shows of the scopes of a request: those that give something away, in the catalogue's order. */
export function describeScopes(scopes: readonly string[], messages: Messages): { name: string; text: string }[] {
  const asked = new Set(scopes)
  return Object.entries(messages.scopes).flatMap(([name, text]) => (asked.has(name) ? [{ name, text }] : []))
}
