/** Ids by the time at which they expire, so that a sweep looks at what is due and at nothing else. */

export interface Expiries {
  add(id: string, expiresAt: number): void
  remove(id: string, expiresAt: number): void
  /** At most `limit` ids whose time has come. The caller removes each before it asks for the next. */
  due(now: number, limit: number): Iterable<string>
}

/** Seconds in one bucket: a set costs 200 bytes, so records spread over a month should share some. */
const width = 32

/** Times are Unix seconds. */
export function openExpiries(): Expiries {
  const buckets = new Map<number, Map<string, number>>()
  /** No bucket before this one holds anything. */
  let first = Number.POSITIVE_INFINITY

  return {
    add(id, expiresAt) {
      const at = Math.floor(expiresAt / width)
      const bucket = buckets.get(at)
      if (bucket) bucket.set(id, expiresAt)
      else buckets.set(at, new Map([[id, expiresAt]]))
      if (at < first) first = at
    },

    remove(id, expiresAt) {
      const at = Math.floor(expiresAt / width)
      const bucket = buckets.get(at)
      if (bucket?.delete(id) && bucket.size === 0) buckets.delete(at)
    },

    *due(now, limit) {
      const last = Math.floor(now / width)
      let left = limit
      while (first <= last && left > 0) {
        if (buckets.size === 0) {
          first = Number.POSITIVE_INFINITY
          return
        }
        // After a long pause most of the numbers between have no bucket: then it is cheaper to look for the smallest.
        if (!buckets.has(first)) first = last - first < buckets.size ? first + 1 : smallest(buckets.keys())
        const bucket = buckets.get(first)
        if (!bucket) continue
        for (const [id, expiresAt] of bucket) {
          if (expiresAt > now) continue
          yield id
          left -= 1
          if (left === 0) return
        }
        if (first === last) return
        first += 1
      }
    },
  }
}

function smallest(numbers: Iterable<number>): number {
  let least = Number.POSITIVE_INFINITY
  for (const number of numbers) if (number < least) least = number
  return least
}
