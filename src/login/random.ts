/** Random values, from a pool: asking the system for each of them costs ten times as much. */
import { randomFillSync } from 'node:crypto'

const size = 32
const pool = Buffer.allocUnsafe(size * 128)
let used = pool.length

/** 256 random bits as 43 letters of the base64url alphabet. */
export function randomState(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const text = pool.toString('base64url', used, used + size)
  // What was given out is no longer in memory.
  pool.fill(0, used, used + size)
  used += size
  return text
}
