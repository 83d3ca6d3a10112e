/** Durations as Go writes them (time.ParseDuration). */

const UNIT_SECONDS: Record<string, number | undefined> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6, // U+00B5, micro sign
  μs: 1e-6, // U+03BC, Greek mu
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
}
const PART = /^(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/
/** Go keeps a duration in 64 bits of nanoseconds. */
const LONGEST_SECONDS = 2 ** 63 / 1e9

/**
 * Seconds of a text such as `24h`, `1h30m`, `1.5s` or `-5m`.
 * @throws RangeError with a sentence for the operator, where Go refuses the text too
 */
export const parseDuration = (text: string): number => {
  const sign = text.startsWith('-') ? -1 : 1
  let rest = /^[+-]/.test(text) ? text.slice(1) : text
  if (rest === '0') return 0
  if (rest === '') throw new RangeError(`${JSON.stringify(text)} is no duration such as "24h", "5m" or "1h30m"`)
  let seconds = 0
  while (rest !== '') {
    const [part, amount, unit] = PART.exec(rest) ?? []
    if (part === undefined) throw new RangeError(explain(text, rest))
    seconds += Number(amount) * UNIT_SECONDS[unit!]!
    rest = rest.slice(part.length)
  }
  if (seconds >= LONGEST_SECONDS) throw new RangeError(`${JSON.stringify(text)} is longer than 292 years`)
  return sign * seconds
}

const explain = (text: string, rest: string): string => {
  const quoted = JSON.stringify(text)
  if (/^[\d.]+$/.test(rest)) return `${quoted} has no unit: write "${text}s" for seconds, or use m or h`
  const days = /^(\d+)(d|days?|w|weeks?)$/i.exec(text)
  if (days) {
    const hours = Number(days[1]) * (days[2]!.toLowerCase().startsWith('w') ? 168 : 24)
    return `${quoted} is no duration, days and weeks are no units: write "${hours}h"`
  }
  return `${quoted} is no duration such as "24h", "5m" or "1h30m" (units are h, m, s, ms, us, ns)`
}
