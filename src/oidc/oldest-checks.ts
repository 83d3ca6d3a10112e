/**
 * How long ago the upstream was asked about the refresh token that it was asked about least lately: the store keeps each
 * token under the connector and the five minutes in which that was, and finds the first of them without reading the tokens.
 */
import type { StorageDriver } from '../storage/contract.ts'

/**
 * Milliseconds. Finding the first of a million refresh tokens that were asked about over a year takes the embedded store 50 ms,
 * and 74 bytes of memory a token; with finer slots both grow.
 */
const width = 300_000
const digits = 9

/** The value of the index `checked`. @param time milliseconds since the epoch */
export const checkSlot = (connectorId: string, time: number): string =>
  `${prefixOf(connectorId)}${String(Math.max(0, Math.floor(time / width))).padStart(digits, '0')}`

// An id may hold any letter but none below the blank.
const prefixOf = (connectorId: string): string => `${connectorId}\n`

export interface OldestCheck {
  connector: string
  /** At most five minutes more than it is. */
  seconds: number
}

/** For each connector that has refresh tokens. One question to the store for each. */
export async function oldestChecks(
  driver: Pick<StorageDriver, 'first'>,
  connectorIds: readonly string[],
  now: Date,
): Promise<OldestCheck[]> {
  const found: OldestCheck[] = []
  for (const connector of connectorIds) {
    const prefix = prefixOf(connector)
    const slot = await driver.first('refresh-family', 'checked', prefix)
    if (slot === undefined) continue
    const from = Number(slot.slice(prefix.length)) * width
    found.push({ connector, seconds: Math.max(0, (now.getTime() - from) / 1000) })
  }
  return found
}
