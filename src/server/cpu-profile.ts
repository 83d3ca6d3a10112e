/** Where the processor's time goes, for an operator who asks. */
import { setTimeout as wait } from 'node:timers/promises'

let running = false

/** A profile that browsers' developer tools open (`.cpuprofile`), or `undefined` while another one is being taken. */
export const takeCpuProfile = async (seconds: number): Promise<string | undefined> => {
  if (running) return undefined
  running = true
  // Loaded by nobody who does not ask.
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  try {
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
    await wait(seconds * 1000, undefined, { ref: false })
    const { profile } = await session.post('Profiler.stop')
    return JSON.stringify(profile)
  } finally {
    session.disconnect()
    running = false
  }
}
