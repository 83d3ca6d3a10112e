/** Work on one thing at a time: who asks for a key waits until everybody before has given it back. */

export interface Turns {
  /** Resolves when it is this caller's turn, with what ends it. */
  take(key: string): Promise<() => void>
  /** Whether somebody has, or waits for, the turn of a key. */
  taken(key: string): boolean
}

export function openTurns(): Turns {
  const last = new Map<string, Promise<void>>()
  return {
    taken: (key) => last.has(key),
    async take(key) {
      const before = last.get(key)
      const { promise, resolve } = Promise.withResolvers<void>()
      const mine = before ? before.then(() => promise) : promise
      last.set(key, mine)
      await before
      return () => {
        resolve()
        if (last.get(key) === mine) last.delete(key)
      }
    },
  }
}
