/** What the engine's answers look like in a browser, and where its interactions go on. */
import type { Context } from 'koa'
import type { Logger } from '../lib/logger.ts'
import { asFailure, PageFailure } from '../login/failures.ts'
import type { LoginFlow } from '../login/flow.ts'
import type { Pages } from '../login/pages.ts'
import type { Stashes } from '../login/stash.ts'
import type { Answers } from '../oidc/provider.ts'
import { requestToCarry } from '../oidc/resume.ts'
import { stateOf } from '../oidc/state.ts'
import { sendFailure, sendPage } from './answer.ts'
import { jarOf } from './cookies.ts'
import { approvalAddress } from './handlers/finish.ts'

export interface AnswersContext {
  flow: LoginFlow
  stashes: Stashes
  pages: Pages
  mount: string
  log: Logger
}

export function openAnswers({ flow, stashes, pages, mount, log }: AnswersContext): Answers {
  return {
    async interact(ctx, prompt) {
      const { stash, departure } = stateOf(ctx)
      if (stash?.purpose.kind !== 'authorize') throw new Error('no login was prepared')
      stash.purpose.request = requestToCarry(ctx)
      let address: string
      if (prompt === 'consent') address = approvalAddress({ mount }, stash)
      else if (departure) address = await flow.start(departure.connector, stash, departure.wishes)
      else throw new Error('no connector was chosen')
      await stashes.save(stash, jarOf(ctx as Context))
      return address
    },

    post(ctx, action, fields) {
      const page = { action, fields, title: 'Back to the application' }
      sendPage(ctx as Context, pages.post(page), { targets: [new URL(action).origin] })
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
