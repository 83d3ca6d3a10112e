import assert from 'node:assert/strict'
import { expand, parseBoolean, readSwitch } from '../../src/config/environment.ts'

describe('expansion of variables', () => {
  const env = { A: 'one', B_2: 'two', EMPTY: '' }
  const cases: [text: string, expanded: string, unset?: string[]][] = [
    ['plain', 'plain'],
    ['$A', 'one'],
    ['${A}', 'one'],
    ['x$A-${B_2}y', 'xone-twoy'],
    ['$EMPTY', ''],
    ['a$', 'a$'],
    ['^team-.*$|x', '^team-.*$|x'],
    ['$ A', '$ A'],
    ['$NOPE!', '!', ['NOPE']],
    ['p$NOPE$$q$1z', 'pqz', ['NOPE', '$', '1']],
    ['${no such}', '', ['no such']],
  ]
  for (const [text, expanded, unset = []] of cases) {
    it(`makes ${JSON.stringify(expanded)} of ${text}`, () => {
      assert.deepEqual(expand(text, env), { text: expanded, unset, malformed: false })
    })
  }
  it('swallows what Go swallows, and says so', () => {
    assert.deepEqual(expand('a${}b', env), { text: 'ab', unset: [], malformed: true })
    assert.deepEqual(expand('a${b', env), { text: 'ab', unset: [], malformed: true })
  })
  it('does not expand what came out of a variable', () => assert.equal(expand('$X', { X: '$A' }).text, '$A'))
})

describe('a switch in the environment', () => {
  it('is read as Go reads booleans', () => {
    assert.deepEqual(['1', 't', 'T', 'TRUE', 'true', 'True'].map(parseBoolean), Array(6).fill(true))
    assert.deepEqual(['0', 'f', 'F', 'FALSE', 'false', 'False'].map(parseBoolean), Array(6).fill(false))
    assert.deepEqual(['yes', 'tRUE', 'on'].map(parseBoolean), Array(3).fill(undefined))
  })
  it('keeps its default for any other text', () => {
    assert.deepEqual(readSwitch('DEX_EXPAND_ENV', { DEX_EXPAND_ENV: 'no' }), { on: true, invalid: 'no' })
    assert.deepEqual(readSwitch('DEX_EXPAND_ENV', { DEX_EXPAND_ENV: '0' }), { on: false })
    assert.deepEqual(readSwitch('DEX_EXPAND_ENV', {}), { on: true })
  })
})
