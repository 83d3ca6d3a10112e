import assert from 'node:assert/strict'
import { parseDuration } from '../../src/config/duration.ts'

describe('a duration', () => {
  const good: [string, number][] = [
    ['24h', 86_400],
    ['5m', 300],
    ['1h30m', 5400],
    ['500ms', 0.5],
    ['1.5s', 1.5],
    ['.5m', 30],
    ['1.h', 3600],
    ['0', 0],
    ['0s', 0],
    ['-5m', -300],
    ['+5m', 300],
    ['2us', 2e-6],
    ['2µs', 2e-6],
    ['2μs', 2e-6],
    ['1000000000ns', 1],
    ['30m1h', 5400],
  ]
  for (const [text, seconds] of good) {
    it(`takes ${text} as Go does`, () => assert.ok(Math.abs(parseDuration(text) - seconds) < 1e-9))
  }
  for (const text of ['', '-', '1', '1d', '5 m', '1h 30m', 'h', '1x', '1e3s', '9999999999h', '--1s', '.s']) {
    it(`refuses ${JSON.stringify(text)} as Go does`, () => assert.throws(() => parseDuration(text), RangeError))
  }
  it('counts days in hours for who writes them', () => assert.throws(() => parseDuration('90d'), /write "2160h"/))
  it('asks for the unit', () => assert.throws(() => parseDuration('30'), /"30" has no unit: write "30s"/))
})
