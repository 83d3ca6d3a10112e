import Mocha from 'mocha'

/**
 * One line a file of tests, every failure in full, every skipped test by name, and last the line
 * `N passed, N failed, N skipped`. Where CI=true a skipped test counts as a failure: what it needs is missing there.
 */
export default class Reporter extends Mocha.reporters.Base {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options)
    const skipped: Mocha.Test[] = []
    const counts = new Map<Mocha.Suite, { passed: number; failed: number; started: number }>()
    const topOf = (test: Mocha.Runnable): Mocha.Suite | undefined => {
      let suite = test.parent
      while (suite?.parent && !suite.parent.root) suite = suite.parent
      return suite
    }
    const count = (test: Mocha.Runnable, key: 'passed' | 'failed') => {
      const entry = counts.get(topOf(test)!)
      if (entry !== undefined) entry[key] += 1
    }

    runner.on('suite', (suite) => {
      if (suite.parent?.root) counts.set(suite, { passed: 0, failed: 0, started: Date.now() })
    })
    runner.on('suite end', (suite) => {
      const entry = counts.get(suite)
      if (entry === undefined) return
      const failed = entry.failed > 0 ? `, ${entry.failed} FAILED` : ''
      console.log(`${suite.title}: ${entry.passed} passed${failed} (${Date.now() - entry.started} ms)`)
    })
    runner.on('pass', (test) => count(test, 'passed'))
    runner.on('fail', (test) => {
      count(test, 'failed')
      console.log(`  FAILED ${test.fullTitle()}`)
    })
    runner.on('pending', (test) => skipped.push(test))
    runner.once('end', () => {
      if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures)
      for (const test of skipped) console.log(`skipped: ${test.fullTitle()}`)
      console.log(`\n${this.stats.passes} passed, ${this.stats.failures} failed, ${skipped.length} skipped`)
    })
  }

  override done(failures: number, end: (failures: number) => void): void {
    end(failures + (process.env.CI === 'true' ? this.stats.pending : 0))
  }
}
