/** How pages leave: their headers, and the failures that become one. */
import type { Context } from 'koa'
import { asFailure, PageFailure, pageOf } from '../login/failures.ts'
import type { Pages } from '../login/pages.ts'
import { stateOf } from '../oidc/state.ts'

/** No inline code, nobody's frame; `targets` are where a form of the page may lead beside our own origin. */
export function pagePolicy({ targets = [], frames = [], connects }: Omit<PageOptions, 'status'> = {}): string {
  const formAction = ["'self'", ...targets].join(' ')
  return [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' https: data:",
    ...(connects ? ["connect-src 'self'"] : []),
    `form-action ${formAction}`,
    ...(frames.length > 0 ? [`frame-src ${frames.join(' ')}`] : []),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')
}

export interface PageOptions {
  status?: number
  /** Origins that a form of the page may lead to. */
  targets?: readonly string[]
  /** Origins whose pages it shows in frames. */
  frames?: readonly string[]
  /** A script of the page talks to us. */
  connects?: boolean
}

export function sendPage(ctx: Context, html: string, { status = 200, ...policy }: PageOptions = {}): void {
  ctx.status = status
  ctx.type = 'text/html; charset=utf-8'
  ctx.set('Content-Security-Policy', pagePolicy(policy))
  ctx.set('X-Frame-Options', 'DENY')
  // Not `no-referrer`: browsers would then hide the origin of our own forms as well, see `requireOwnForm`.
  ctx.set('Referrer-Policy', 'same-origin')
  ctx.set('Cache-Control', 'no-store')
  ctx.body = html
}

/** A failure as the person sees it. What is no failure of ours is a defect: a plain page, and the cause for the log. */
export function sendFailure(ctx: Context, pages: Pages, error: unknown): PageFailure {
  const known = asFailure(error)
  const failure =
    error instanceof PageFailure
      ? error
      : known
        ? pageOf(known)
        : new PageFailure(500, 'Something went wrong on this server.', { cause: error })
  const { status, message, title, next, button, link, retryAfter } = failure
  if (retryAfter !== undefined) ctx.set('Retry-After', String(retryAfter))
  const html = pages.failure({
    status,
    message,
    requestId: stateOf(ctx).requestId,
    ...(title !== undefined && { title }),
    ...(next !== undefined && { nextStep: next }),
    ...(button && { button }),
    ...(link && { link }),
  })
  sendPage(ctx, html, { status })
  return failure
}
