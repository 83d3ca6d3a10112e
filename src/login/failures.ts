/**
 * What each reader is told of a failure: the person a page with a next step, the client an OAuth error, the operator a line
 * in the log with the cause. One table for all.
 */
import { STATUS_CODES } from 'node:http'
import { type FailureCode, type FailureDetails, failure } from '../../connectors/contract.ts'

/** An OAuth error code that goes to the client (RFC 6749, 4.1.2.1). */
export type ClientError = 'access_denied' | 'temporarily_unavailable' | 'server_error' | 'invalid_request'

interface Row {
  status: number
  /** At the redirect URI. */
  client: ClientError
  /** At the token endpoint, when a refresh fails. */
  grant: 'invalid_grant' | 'temporarily_unavailable' | 'server_error'
  level: 'info' | 'warn' | 'error'
  title?: string
  message: string
  next?: string
  /** The person can mend it, so they see a page before the client hears of it. */
  repairable?: true
}

const askOperator =
  'Go back to the application and try again. If it happens again, tell its operator the request number below.'

export const failureTable: Readonly<Record<FailureCode, Row>> = {
  login_refused: {
    status: 403,
    client: 'access_denied',
    grant: 'invalid_grant',
    level: 'info',
    title: 'You were not logged in',
    message: 'The login was refused or cancelled.',
    next: 'Go back to the application and try again, or choose another way to log in.',
  },
  not_in_required_groups: {
    status: 403,
    client: 'access_denied',
    grant: 'invalid_grant',
    level: 'warn',
    title: 'You may not log in here',
    message: 'You are not a member of any of the required groups to authenticate.',
    next: 'Ask whoever runs the application to add you to a group that may use it, then log in again.',
    repairable: true,
  },
  upstream_unavailable: {
    status: 503,
    client: 'temporarily_unavailable',
    grant: 'temporarily_unavailable',
    level: 'error',
    message: 'The service that knows you does not answer at the moment.',
    next: 'Wait a minute, then go back to the application and log in again.',
  },
  upstream_invalid_response: {
    status: 502,
    client: 'server_error',
    grant: 'server_error',
    level: 'error',
    message: 'The service that knows you gave an answer that cannot be trusted.',
    next: askOperator,
  },
  account_disabled: {
    status: 403,
    client: 'access_denied',
    grant: 'invalid_grant',
    level: 'info',
    message: 'Your account is disabled.',
    next: 'Ask whoever looks after accounts in your organisation.',
  },
  account_locked: {
    status: 403,
    client: 'access_denied',
    grant: 'invalid_grant',
    level: 'info',
    message: 'Your account is locked.',
    next: 'Wait a while, or ask whoever looks after accounts in your organisation to unlock it.',
  },
  password_expired: {
    status: 403,
    client: 'access_denied',
    grant: 'invalid_grant',
    level: 'info',
    message: 'Your password has expired.',
    next: 'Change it where your organisation lets you, then log in again.',
  },
  groups_incomplete: {
    status: 403,
    client: 'access_denied',
    grant: 'temporarily_unavailable',
    level: 'warn',
    message: 'It cannot be said for certain which groups you belong to.',
    next: askOperator,
  },
  rate_limited: {
    status: 429,
    client: 'temporarily_unavailable',
    grant: 'temporarily_unavailable',
    level: 'warn',
    title: 'Too many tries',
    message: 'There were too many tries in a short time.',
    next: 'Wait a few minutes, then try again.',
  },
  identity_gone: {
    status: 403,
    client: 'access_denied',
    grant: 'invalid_grant',
    level: 'info',
    message: 'The service that knew you does not know you any more.',
    next: 'Log in again.',
  },
  misconfigured: {
    status: 500,
    client: 'server_error',
    grant: 'server_error',
    level: 'error',
    message: 'This way to log in is not set up correctly.',
    next: askOperator,
  },
}

/** A failure as a connector throws it, whatever copy of the class it has; anything else is a defect and stays what it is. */
export function asFailure(error: unknown): (Error & { code: FailureCode; details: FailureDetails }) | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, details } = error as { code?: unknown; details?: FailureDetails }
  if (typeof code !== 'string' || !Object.hasOwn(failureTable, code)) return undefined
  if (typeof details === 'object' && details !== null)
    return error as Error & { code: FailureCode; details: FailureDetails }
  return failure(code as FailureCode, error.message, { cause: error })
}

/**
 * A request that cannot go on and has nowhere to return to: a page for the person.
 * `message` is one sentence for them, `next` what to do now; `cause` is for the log.
 */
export class PageFailure extends Error {
  override readonly name = 'PageFailure'
  readonly status: number
  readonly next: string | undefined
  readonly title: string | undefined
  readonly button: { href: string; text: string } | undefined
  readonly link: { href: string; text: string } | undefined
  readonly retryAfter: number | undefined

  constructor(
    status: number,
    message: string,
    more: {
      next?: string | undefined
      title?: string | undefined
      cause?: unknown
      button?: { href: string; text: string } | undefined
      link?: { href: string; text: string } | undefined
      retryAfter?: number | undefined
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.status = status
    this.next = more.next
    this.title = more.title
    this.button = more.button
    this.link = more.link
    this.retryAfter = more.retryAfter
  }
}

/** The page of a connector's failure. */
export function pageOf(
  error: Error & { code: FailureCode; details: FailureDetails },
  button?: { href: string; text: string },
): PageFailure {
  const { status, title, message, next } = failureTable[error.code]
  const { safe, link, retryAfter } = error.details
  return new PageFailure(status, safe ?? message, {
    title,
    // A connector's own sentence knows better what to do than the table.
    next: safe === undefined ? next : undefined,
    cause: error,
    button,
    link: link && { href: link.href, text: `More about it at ${link.host}` },
    retryAfter,
  })
}

/** What a status is called where nothing better is known. */
export const statusText = (status: number): string => STATUS_CODES[status] ?? `Error ${status}`

/** `error_description` for a client: what happened, and by which number the operator finds it in the log. */
export const describe = (message: string, requestId: string): string =>
  `${message.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, ' ').trim()} (request ${requestId})`
