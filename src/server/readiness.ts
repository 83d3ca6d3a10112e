/** Whether this server can serve, asked by whoever sends it traffic. */

/** Resolves when what it looks at works; rejects with the reason. */
export type Check = () => Promise<void>

/** As Dex reports it, field for field. */
export interface CheckResult {
  message?: string
  error?: { message: string }
  timestamp: string
  /** Nanoseconds. */
  duration: number
  contiguousFailures: number
  timeOfFirstFailure: string | null
}

export interface ReadinessReport {
  ready: boolean
  results: Record<string, CheckResult>
}

export interface Readiness {
  report(): Promise<ReadinessReport>
  /** Off: not ready whatever the checks say, so that no new traffic comes while the server stops. */
  switch(on: boolean): void
}

export interface ReadinessOptions {
  /** One that fails makes the server not ready. */
  checks: Record<string, Check>
  /** Reported beside the checks without deciding anything, such as whether an upstream answers. */
  notices?: Record<string, Check>
  /** How long a result is given again, ms. */
  keepMs?: number
  /** How long a check may take, ms. */
  timeoutMs?: number
  now?: () => Date
}

const failedResult = (error: unknown): Pick<CheckResult, 'message' | 'error'> => {
  const message = error instanceof Error ? error.message : 'failed'
  return { message, error: { message } }
}

/** Rejects when `check` takes too long: a store that hangs is a store that is down. */
const withLimit = async (check: Check, timeoutMs: number): Promise<void> => {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs)
  try {
    await Promise.race([check(), promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Runs a check when asked, not more often than every `keepMs`, and once for all who ask at the same time. */
const cached = (check: Check, { keepMs = 2_000, timeoutMs = 5_000, now = () => new Date() }: ReadinessOptions) => {
  let last: CheckResult | undefined
  let lastAt = Number.NEGATIVE_INFINITY
  let running: Promise<CheckResult> | undefined

  const run = async (): Promise<CheckResult> => {
    const started = performance.now()
    let failed: Pick<CheckResult, 'message' | 'error'> | undefined
    try {
      await withLimit(check, timeoutMs)
    } catch (error) {
      failed = failedResult(error)
    }
    const timestamp = now()
    lastAt = timestamp.getTime()
    last = {
      ...failed,
      timestamp: timestamp.toISOString(),
      duration: Math.round((performance.now() - started) * 1e6),
      contiguousFailures: failed === undefined ? 0 : (last?.contiguousFailures ?? 0) + 1,
      timeOfFirstFailure: failed === undefined ? null : (last?.timeOfFirstFailure ?? timestamp.toISOString()),
    }
    running = undefined
    return last
  }
  return (): Promise<CheckResult> => {
    if (last !== undefined && now().getTime() - lastAt < keepMs) return Promise.resolve(last)
    running ??= run()
    return running
  }
}

/** Nothing runs until somebody asks. */
export const openReadiness = (options: ReadinessOptions): Readiness => {
  const checks = Object.entries(options.checks).map(([name, check]) => [name, cached(check, options)] as const)
  const notices = Object.entries(options.notices ?? {}).map(([name, check]) => [name, cached(check, options)] as const)
  let on = true
  return {
    report: async () => {
      const [decisive, others] = await Promise.all(
        [checks, notices].map((entries) =>
          Promise.all(entries.map(async ([name, run]) => [name, await run()] as const)),
        ),
      )
      const ready = on && decisive!.every(([, result]) => result.contiguousFailures === 0)
      return { ready, results: Object.fromEntries([...decisive!, ...others!]) }
    },
    switch: (value) => {
      on = value
    },
  }
}
