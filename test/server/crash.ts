/**
 * Kills the program under load, again and again, and then asks for everything that it had promised: each refresh token
 * whose answer arrived whole, and each ID token's signature.
 */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import {
  answering,
  eventually,
  logIn,
  openPlace,
  refresh,
  type Served,
  send,
  type Tokens,
  tokensOf,
} from './program.ts'

export interface CrashPlan {
  kills: number
  /** How many clients work at once. */
  clients: number
  /** How many answers are waited for before a kill, at random between these. */
  answers: [least: number, most: number]
  /** Every so many starts one is killed before it answers. */
  killStartEvery?: number
  /** `expiry.refreshTokens.reuseInterval`. With one, a refresh that was cut off is answered when it is repeated. */
  reuseInterval?: string
}

export interface CrashReport {
  logins: number
  refreshes: number
  /** Refresh tokens that were asked for in the end. */
  families: number
  /** Refreshes whose answer the kill cut off, and how many of those had happened. */
  cutOff: number
  cutOffDone: number
  idTokens: number
  /** Milliseconds of the slowest start on what a kill left. */
  slowestStart: number
}

interface Family {
  /** The last that was acknowledged. */
  token: string
  /** A refresh of it has no answer, so nobody knows whether it happened. */
  uncertain: boolean
}

export async function crash(plan: CrashPlan): Promise<CrashReport> {
  const report: CrashReport = {
    logins: 0,
    refreshes: 0,
    families: 0,
    cutOff: 0,
    cutOffDone: 0,
    idTokens: 0,
    slowestStart: 0,
  }
  const families: Family[] = []
  const idTokens: string[] = []
  let killed = false

  const keep = ({ id_token, refresh_token }: Tokens): string => {
    idTokens.push(id_token)
    return refresh_token!
  }

  const renew = async (issuer: string, family: Family): Promise<void> => {
    family.uncertain = true
    const answer = await refresh(issuer, family.token)
    family.token = keep(tokensOf(answer))
    family.uncertain = false
    report.refreshes += 1
  }

  /** One client: logs in, refreshes its own tokens a few times, logs in again; until the server is gone. */
  const work = async (issuer: string): Promise<void> => {
    const own: Family[] = []
    while (!killed) {
      try {
        const family = own[Math.floor(Math.random() * (own.length + 1))]
        if (family && !family.uncertain) {
          await renew(issuer, family)
        } else {
          const fresh = { token: keep(await logIn(issuer)), uncertain: false }
          report.logins += 1
          own.push(fresh)
          families.push(fresh)
        }
      } catch (error) {
        // What was refused while the server ran is a defect; what was cut off is the plan.
        if (!killed) throw error
      }
    }
  }

  /** Asks for every token once. */
  const settle = async (issuer: string): Promise<void> => {
    const due = [...families]
    const lane = async (): Promise<void> => {
      for (let family = due.pop(); family; family = due.pop()) {
        if (!family.uncertain) {
          await renew(issuer, family)
          continue
        }
        report.cutOff += 1
        const answer = await refresh(issuer, family.token)
        if (answer.status === 200) {
          family.token = keep(tokensOf(answer))
          family.uncertain = false
        } else {
          assert.equal(`${answer.status} ${JSON.parse(answer.body).error}`, '400 invalid_grant')
          report.cutOffDone += 1
          families.splice(families.indexOf(family), 1)
        }
      }
    }
    await Promise.all(Array.from({ length: plan.clients }, lane))
  }

  await using place = await openPlace()
  const { reuseInterval = '0s' } = plan
  const expiry = { refreshTokens: { reuseInterval } }
  await place.configure({ storage: place.lowdb, logger: { level: 'error' }, expiry })
  const start = async (): Promise<Served> => {
    const server = await place.serve()
    report.slowestStart = Math.max(report.slowestStart, server.startedIn)
    return server
  }

  for (let kill = 1; kill <= plan.kills; kill++) {
    if (plan.killStartEvery !== undefined && kill % plan.killStartEvery === 0) {
      await using early = place.launch()
      await pause(Math.random() * 600)
      await early.stop('SIGKILL')
    }
    await using server = await start()
    await answering(`${server.issuer}/keys`, server)
    await settle(server.issuer)
    killed = false
    const [least, most] = plan.answers
    const enough = report.logins + report.refreshes + least + Math.random() * (most - least)
    const working = Promise.all(Array.from({ length: plan.clients }, () => work(server.issuer)))
    const reached = eventually('answers', async () => report.logins + report.refreshes > enough || undefined, 60_000)
    await Promise.race([working, reached])
    await pause(Math.random() * 20)
    killed = true
    assert.equal(await server.stop('SIGKILL'), 'SIGKILL', server.stderr())
    await working
  }

  await using server = await start()
  await settle(server.issuer)
  report.families = families.length
  const { body } = await send(`${server.issuer}/keys`)
  const keys = createLocalJWKSet(JSON.parse(body) as JSONWebKeySet)
  for (const token of idTokens) await jwtVerify(token, keys)
  report.idTokens = idTokens.length
  assert.equal(await server.stop('SIGTERM'), 0)
  return report
}

export const describeCrash = (kills: number, report: CrashReport): string =>
  `${kills} kills: ${report.logins} logins and ${report.refreshes} refreshes acknowledged, ` +
  `${report.families} refresh tokens and ${report.idTokens} ID tokens good afterwards; ` +
  `${report.cutOff} refreshes cut off, ${report.cutOffDone} of them done; slowest start ${Math.round(report.slowestStart)} ms`
