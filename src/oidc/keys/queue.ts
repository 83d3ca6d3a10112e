/** Runs one piece of work after the other, in the order in which they were asked for. */
export type Queue = <T>(work: () => Promise<T>) => Promise<T>

/** Work that fails does not keep the next from its turn. */
export function openQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
}
