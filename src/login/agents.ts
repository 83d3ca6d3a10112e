/** What a `User-Agent` header says, as a person would: which browser, on what. */
import Bowser from 'bowser'

/** Such as `Firefox on Linux`; `undefined` where the header names no browser that is known. */
export function describeAgent(agent: string | undefined): string | undefined {
  if (!agent) return undefined
  const { browser, os } = Bowser.parse(agent)
  if (!browser.name) return undefined
  return os.name ? `${browser.name} on ${os.name}` : browser.name
}
