/** What the engine's answers look like in a browser. */
import type { Context } from 'koa'
import type { Logger } from '../lib/logger.ts'
import { asFailure, PageFailure } from '../login/failures.ts'
import { messagesFor } from '../login/messages.ts'
import type { Pages } from '../login/pages.ts'
import type { Answers } from '../oidc/provider.ts'
import { formTarget } from '../oidc/redirects.ts'
import { sendFailure, sendPage } from './answer.ts'

export interface AnswersContext {
  pages: Pages
  log: Logger
}

export function openAnswers({ pages, log }: AnswersContext): Answers {
  return {
    post(ctx, action, fields) {
      const page = { action, fields, title: messagesFor().back() }
      sendPage(ctx as Context, pages.post(page), { targets: [formTarget(action) ?? []].flat() })
    },

    copy(ctx, answer) {
      const { code, error, error_description: description } = answer
      if (code !== undefined) return sendPage(ctx as Context, pages.oob({ code }))
      sendFailure(ctx as Context, pages, new PageFailure(400, description ?? error ?? 'The login failed.'))
    },

    fail(ctx, error) {
      const known = asFailure(error)
      const status = 'status' in error && typeof error.status === 'number' ? error.status : 500
      const message = error.error_description ?? 'Something went wrong on this server.'
      const failure = known ?? new PageFailure(status, status >= 500 ? 'Something went wrong on this server.' : message)
      log.info('authorization request refused', { reason: message })
      sendFailure(ctx as Context, pages, failure)
    },
  }
}
