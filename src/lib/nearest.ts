/**
 * The candidate that was most likely meant: fewest edits (insert, delete, replace, swap of neighbours), upper and lower
 * case alike, a cut-off name counting as close. `undefined` when none is near enough to be worth suggesting.
 */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  const wanted = word.toLowerCase()
  if (wanted === '') return undefined
  let best: { name: string; edits: number } | undefined
  for (const name of candidates) {
    const candidate = name.toLowerCase()
    const edits = isCutOff(wanted, candidate) ? 1 : editDistance(wanted, candidate)
    if (edits <= tolerance(wanted, candidate) && edits < wanted.length && (best === undefined || edits < best.edits))
      best = { name, edits }
  }
  return best?.name
}

/** A third of the longer word, at least one edit, so that `id` does not become `http`. */
const tolerance = (a: string, b: string): number => Math.max(1, Math.floor(Math.max(a.length, b.length) / 3))

const isCutOff = (a: string, b: string): boolean => {
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  return short.length >= 4 && long.startsWith(short)
}

/** Damerau-Levenshtein distance (optimal string alignment). */
const editDistance = (a: string, b: string): number => {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let edits = Math.min(replaced, rows[i - 1]![j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, rows[i - 2]![j - 2]! + 1)
      row.push(edits)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
