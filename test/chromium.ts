/** The browser that tests drive. */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

export const CHROMIUM = '/usr/bin/chromium'
export const INSTALL_CHROMIUM = 'apt-get install chromium'

/** Chromium without a window and without requests of its own. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })

/** Starts it, or skips the tests of this hook where it is not installed. @throws Error instead, with CI=true */
export async function browserFor(hook: Mocha.Context): Promise<Browser> {
  if (existsSync(CHROMIUM)) return startBrowser()
  if (process.env.CI === 'true') throw new Error(`${CHROMIUM} is missing: ${INSTALL_CHROMIUM}`)
  console.log(`      skipped: ${CHROMIUM} is missing: ${INSTALL_CHROMIUM}`)
  return hook.skip()
}
