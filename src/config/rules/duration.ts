/** Durations of the file. */
import { parseDuration } from '../duration.ts'
import type { Reading } from '../reading.ts'

/** Seconds; 0 for a duration that is absent, empty, zero or at fault. */
export const readDuration = (pointer: string, text: string | undefined, { report }: Reading): number => {
  if (!text) return 0
  try {
    const seconds = parseDuration(text)
    if (seconds < 0) report.warn(pointer, 'is negative: whatever it limits has expired when it is made')
    return seconds
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    report.fault(pointer, error.message)
    return 0
  }
}
