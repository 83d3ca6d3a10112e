import assert from 'node:assert/strict'
import { compileGlob, matchesAll } from '../../src/lib/glob.ts'

const cases: [pattern: string, text: string, matches: boolean][] = [
  ['refs/heads/main', 'refs/heads/main', true],
  ['refs/heads/main', 'refs/heads/main2', false],
  ['refs/heads/main', 'xrefs/heads/main', false],
  ['refs/heads/*', 'refs/heads/main', true],
  ['refs/heads/*', 'refs/heads/', true],
  ['refs/heads/*', 'refs/heads/feature/x', false],
  ['refs/heads/**', 'refs/heads/feature/x', true],
  ['repo:org/*:ref:refs/heads/main', 'repo:org/a:ref:refs/heads/main', true],
  ['repo:org/*:ref:refs/heads/main', 'repo:org/a:environment:x:ref:refs/heads/main', false],
  ['repo:org/**', 'repo:org/a:pull_request', true],
  ['**', 'a\nb', true],
  ['a.c', 'abc', false],
  ['a+(b)|[c]\\E', 'a+(b)|[c]\\E', true],
  ['A', 'a', false],
  ['*', '', true],
]

describe('a pattern', () => {
  for (const [pattern, text, matches] of cases) {
    it(`"${pattern}" ${matches ? 'fits' : 'does not fit'} ${JSON.stringify(text)}`, () => {
      assert.equal(compileGlob(pattern)(text), matches)
    })
  }

  it('is matched in a time that grows with the text alone', () => {
    const match = compileGlob(`${'**a'.repeat(20)}b`)
    const since = performance.now()
    assert.equal(match('a'.repeat(10_000)), false)
    assert.ok(performance.now() - since < 5000)
  })

  it('that is stars alone lets all pass', () => {
    assert.deepEqual(['*', '**', '***', '', 'a*', '*/*'].map(matchesAll), [true, true, true, false, false, false])
  })
})
