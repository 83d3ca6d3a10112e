/** Work that goes on after its request was answered, and that a server finishes before it closes. */
export interface Background {
  run(work: () => Promise<void>, failed: (error: unknown) => void): void
  /** Resolves when all of it is done. */
  close(): Promise<void>
}

export function openBackground(): Background {
  const running = new Set<Promise<void>>()
  return {
    run(work, failed) {
      const one = work()
        .catch(failed)
        .finally(() => running.delete(one))
      running.add(one)
    },
    async close() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
