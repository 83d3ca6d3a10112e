/** What surrounds every request: its state, one commit before the answer leaves, failures answered in one place. */
import type { IncomingMessage } from 'node:http'
import type { Context, Next } from 'koa'
import type { Logger } from '../../lib/logger.ts'
import { asFailure, failureTable, PageFailure } from '../../login/failures.ts'
import type { Pages } from '../../login/pages.ts'
import type { ClientCertificate } from '../../oidc/certificates.ts'
import { type RequestState, withState } from '../../oidc/state.ts'
import type { StorageDriver } from '../../storage/contract.ts'
import { openUnit } from '../../storage/unit.ts'
import { sendFailure } from '../answer.ts'
import { dropCookies, openJar, sendCookies } from '../cookies.ts'
import { challengeBasic } from '../handlers/engine.ts'
import { requestIdOf } from '../notes.ts'
import type { Route } from '../routes.ts'

export interface ServeContext {
  driver: StorageDriver
  pages: Pages
  log: Logger
  issuer: string
  /** Headers of the operator, over ours. */
  headers: Readonly<Record<string, string>>
  certificateOf(request: IncomingMessage): ClientCertificate | undefined
  /** Counts what whoever sent the request makes this server fetch. */
  admitFetch(request: IncomingMessage): Promise<boolean>
}

/** The route that was matched, noted by app.ts. */
export interface ServedState extends RequestState {
  route?: Route
  /** The handler handed the request on to the engine. */
  passed?: boolean
}

export const serve =
  ({ driver, pages, log, issuer, headers, certificateOf, admitFetch }: ServeContext) =>
  async (ctx: Context, next: Next): Promise<void> => {
    const state: ServedState = {
      requestId: requestIdOf(ctx.req),
      unit: openUnit(driver),
      certificate: () => certificateOf(ctx.req),
      admitFetch: () => admitFetch(ctx.req),
      release: [],
    }
    ctx.state = state
    openJar(ctx)
    try {
      await withState(state, next)
      // What failed on our side leaves nothing behind.
      if (ctx.status < 500 && state.unit.staged > 0) await commit(ctx, state)
      challengeBasic(ctx, issuer)
    } catch (error) {
      if (!(error instanceof PageFailure)) dropCookies(ctx)
      fail(ctx, state, error)
    } finally {
      for (const release of state.release) release()
    }
    sendCookies(ctx)
    ctx.set('X-Content-Type-Options', 'nosniff')
    ctx.set(headers)

    function fail(ctx: Context, { route }: ServedState, error: unknown): void {
      for (const name of Object.keys(ctx.response.headers)) {
        if (/^(location|content-|cache-)/i.test(name)) ctx.remove(name)
      }
      if (route && route.reader !== 'person') {
        log.error('request failed', { err: error })
        answerProgram(ctx, 500, 'server_error', 'unexpected failure')
        return
      }
      logFailure(log, sendFailure(ctx, pages, error), error)
    }

    async function commit(ctx: Context, { unit, route }: ServedState): Promise<void> {
      const refused = ctx.status >= 400
      const { ok } = await unit.commit()
      state.stored = ok
      // A refusal stays one, whoever else wrote in the meantime.
      if (ok || refused) return
      dropCookies(ctx)
      log.info('somebody else was faster with the same code or token', { handler: route?.path })
      if (route && route.reader !== 'person') {
        answerProgram(ctx, 400, 'invalid_grant', 'it was used already')
        return
      }
      ctx.remove('Location')
      sendFailure(ctx, pages, new PageFailure(403, 'This login was finished before.', finishedTwice))
    }
  }

const finishedTwice = {
  title: 'This login is finished',
  next: 'If the application did not open, go back to it and log in again.',
}

function logFailure(log: Logger, failure: PageFailure, error: unknown): void {
  const known = asFailure(error) ?? asFailure(failure.cause)
  const level = known ? failureTable[known.code].level : failure.status >= 500 ? 'error' : 'info'
  log[level]('request refused', { status: failure.status, reason: failure.message, err: failure.cause })
}

function answerProgram(ctx: Context, status: number, error: string, description: string): void {
  ctx.status = status
  ctx.type = 'application/json'
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { error, error_description: description }
}
