/**
 * Every sentence that a person reads on our pages. A further language is one more object of the same shape in `catalogues`.
 */

const english = {
  /** BCP 47 tag, for the `lang` attribute. */
  lang: 'en',
  choose: {
    title: (issuer: string) => `Log in to ${issuer}`,
    towards: (client: string) => `to continue to ${client}`,
    hint: 'Choose how you would like to log in.',
    connector: (name: string) => `Log in with ${name}`,
    none: 'No login method is set up yet. Ask whoever runs this service.',
  },
  password: {
    title: (connector: string | undefined) => (connector ? `Log in with ${connector}` : 'Log in to your account'),
    password: 'Password',
    submit: 'Log in',
    /** Begins with the prompt, whose capital letters are the operator's. */
    invalid: (prompt: string) => `${prompt.slice(0, 1).toUpperCase()}${prompt.slice(1)} or password is wrong.`,
    back: 'Choose another login method',
  },
  approval: {
    title: 'Grant access',
    asks: (client: string) => `${client} would like to:`,
    asksNothing: (client: string) => `${client} asks for no personal information, only to know that it is you.`,
    loggedInAs: (user: string) => `Logged in as ${user}`,
    approve: 'Grant access',
    reject: 'Cancel',
  },
  /** What a scope lets a client do; scopes that are not listed are not shown. */
  scopes: {
    offline_access: 'Stay logged in while you are away',
    profile: 'See your name and basic profile',
    email: 'See your email address',
    groups: 'See the groups you belong to',
  } as Record<string, string>,
  device: {
    title: 'Connect a device',
    hint: 'Enter the code that your device or command line shows.',
    caution: 'Continue only if you started this login yourself.',
    code: 'Code',
    submit: 'Continue',
  },
  deviceDone: {
    title: 'You are logged in',
    message: (client: string) => `${client} can go on now.`,
    next: 'Return to your device. You can close this page.',
  },
  deviceRefused: {
    title: 'Access denied',
    message: (client: string) => `${client} does not get access, as you asked.`,
    next: 'You can close this page. To log in after all, start again on your device.',
  },
  failure: {
    title: 'Login failed',
    status: (status: number) => `Error ${status}`,
    request: 'Request number',
    next: 'Go back to the application and try again. If that does not help, tell its operator the request number below.',
    nextWithoutId: 'Go back to the application and try again. If that does not help, tell its operator.',
  },
  home: {
    title: (issuer: string) => issuer,
    message:
      'This service logs people in to applications. There is nothing to do here: open your application, and it will bring you back when needed.',
    issuer: 'Issuer',
    discovery: 'OpenID Connect discovery document',
  },
  post: {
    hint: 'One more step takes you on. If nothing happens by itself, press the button.',
    submit: 'Continue',
  },
  oob: {
    title: 'Login successful',
    message: 'Copy this code, switch to your application and paste it there.',
    code: 'Code',
  },
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
