/** The stand-ins for the identity services above the program under test, by the name under which a configuration needs them. */
import type { Names } from '../scenarios.ts'
import { startCrowd } from './crowd.ts'
import { startGitea } from './gitea.ts'
import { startGitHub } from './github.ts'
import { startGitLab } from './gitlab.ts'
import { startKeystone } from './keystone.ts'
import { startMicrosoft } from './microsoft.ts'
import { startOAuth } from './oauth.ts'
import { startOidc } from './oidc.ts'
import { startOpenShift } from './openshift.ts'
import type { StandIn } from './stand-in.ts'

export type { StandIn }

const standIns: Record<string, () => Promise<StandIn>> = {
  oidc: startOidc,
  github: startGitHub,
  oauth: startOAuth,
  gitlab: startGitLab,
  gitea: startGitea,
  keystone: startKeystone,
  crowd: startCrowd,
  microsoft: startMicrosoft,
  openshift: startOpenShift,
}

export const standInNames: readonly string[] = Object.keys(standIns)

/** Starts those of `needs` that are stand-ins. */
export async function startStandIns(needs: readonly string[] = []): Promise<Record<string, StandIn>> {
  const started: Record<string, StandIn> = {}
  for (const name of needs) {
    const start = standIns[name]
    if (start) started[name] = await start()
  }
  return started
}

/** The names by which scenarios and configurations know a stand-in's address, host and certificate. */
export const namesOf = (name: string, { url, ca }: Pick<StandIn, 'url' | 'ca'>): Names => ({
  [name]: url,
  [`${name}Host`]: new URL(url).host,
  ...(ca && { [`${name}Ca`]: ca.file }),
})
