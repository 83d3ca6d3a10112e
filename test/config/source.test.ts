import assert from 'node:assert/strict'
import { decodeText, type Node, readSource } from '../../src/config/source.ts'

const plain = (node: Node): unknown => {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(plain)
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]))
}
const read = (text: string): unknown => {
  const { root, faults } = readSource(text)
  assert.deepEqual(faults, [])
  return plain(root!)
}
const value = (text: string): unknown => (read(`a: ${text}`) as { a: unknown }).a

describe('a YAML file', () => {
  it('has the booleans of YAML 1.1', () => {
    for (const word of ['y', 'Y', 'yes', 'YES', 'on', 'On', 'true', 'TRUE']) assert.equal(value(word), true, word)
    for (const word of ['n', 'N', 'no', 'No', 'off', 'OFF', 'false']) assert.equal(value(word), false, word)
    assert.equal(value('"yes"'), 'yes')
    assert.equal(value('yEs'), 'yEs')
  })
  it('has hexadecimal, octal, binary and underscored whole numbers', () => {
    const numbers: [string, number][] = [
      ['0x1F', 31],
      ['010', 8],
      ['0o10', 8],
      ['0b101', 5],
      ['1_000', 1000],
      ['-0x10', -16],
      ['+7', 7],
      ['0', 0],
      ['08', 8],
    ]
    for (const [text, number] of numbers) assert.equal(value(text), number, text)
  })
  it('has fractions, with an exponent or without', () => {
    const numbers: [string, number][] = [
      ['1.2', 1.2],
      ['.5', 0.5],
      ['5.', 5],
      ['1e3', 1000],
      ['-1.5e-2', -0.015],
    ]
    for (const [text, number] of numbers) assert.equal(value(text), number, text)
  })
  it('leaves dates, times and addresses as text', () => {
    for (const text of [
      '2024-06-01',
      '2024-06-01T00:00:00Z',
      '12:30:45',
      '127.0.0.1',
      '0.0.0.0:5556',
      '1.2.3',
      '-x',
      '+',
      '0xg',
    ]) {
      assert.equal(value(text), text)
    }
  })
  it('has nothing for an empty value, ~ and null', () => {
    for (const text of ['', '~', 'null', 'NULL']) assert.equal(value(text), null, text)
  })
  it('follows explicit tags', () => {
    assert.equal(value('!!str 123'), '123')
    assert.equal(value('!!int "0x10"'), 16)
    assert.equal(value('!!bool "yes"'), true)
    assert.equal(value('!!binary |\n  aGVs\n  bG8='), 'hello')
    assert.equal(value('!!binary aGVsbG8='), 'hello')
    assert.equal(value('!mine x'), 'x')
  })
  it('refuses base64 that is none', () => {
    assert.match(readSource('a: !!binary "*"').faults[0]!.message, /no valid base64/)
  })
  it('refuses numbers that JSON cannot hold, as Dex does', () => {
    assert.match(readSource('a: .inf').faults[0]!.message, /"\.inf" is no number/)
  })
  it('follows anchors, and merge keys of one or of several groups', () => {
    assert.deepEqual(read('a: &x [1]\nb: *x'), { a: [1], b: [1] })
    assert.deepEqual(read('a: &x {k: 1, l: 1}\nb: {<<: *x, k: 2}'), { a: { k: 1, l: 1 }, b: { k: 2, l: 1 } })
    assert.deepEqual(read('a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc:\n  <<: [*x, *y]'), {
      a: { k: 1 },
      b: { k: 2, m: 3 },
      c: { k: 1, m: 3 },
    })
    assert.deepEqual(read('b: {<<: {k: 1}}'), { b: { k: 1 } })
  })
  it('refuses an anchor that contains itself, and aliases that multiply', () => {
    assert.match(readSource('a: &x [*x]').faults[0]!.message, /contains itself/)
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 9; i++)
      bomb.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      )
    assert.match(readSource(bomb.join('\n')).faults[0]!.message, /more than 100,000/)
  })
  it('takes the last of two equal keys, and says where both stand', () => {
    const { root, warnings } = readSource('web:\n  http: a\n  http: b\n')
    assert.deepEqual(plain(root!), { web: { http: 'b' } })
    assert.deepEqual(warnings, [
      { place: { line: 3, column: 3 }, path: 'web.http', message: 'stands twice, also in line 2; the last one counts' },
    ])
  })
  it('reads the first of several documents, even if a later one is broken', () => {
    const { root, warnings } = readSource('a: 1\n---\nb: [\n')
    assert.deepEqual(plain(root!), { a: 1 })
    assert.equal(warnings.length, 1)
  })
  it('may start with a comment and a mark', () => assert.deepEqual(read('# x\n---\na: 1\n'), { a: 1 }))
  it('may have a byte order mark and line ends of Windows', () => {
    assert.deepEqual(read('\uFEFFa: 1\r\nb:\r\n- x\r\n'), { a: 1, b: ['x'] })
    assert.equal(decodeText(Buffer.from('\uFEFFa: ä', 'utf16le')), 'a: ä')
  })
  it('must be UTF-8', () => assert.throws(() => decodeText(Uint8Array.of(0x61, 0xff)), TypeError))
  it('may be empty', () => assert.deepEqual(read(''), {}))
  it('may be JSON, with tabs', () => {
    assert.deepEqual(read('{\n\t"a": "x\\/y\\u0041",\n\t"b": [1, true, null]\n}'), { a: 'x/yA', b: [1, true, null] })
  })
  it('knows the place of everything', () => {
    const { root } = readSource('a:\n  - b: c\n')
    assert.ok(root?.kind === 'map')
    const list = root.entries[0]!.value
    assert.ok(list.kind === 'list')
    assert.deepEqual(list.items[0]!.place, { line: 2, column: 5 })
  })
  it('names the line where it is broken, once', () => {
    const { faults } = readSource('a: 1\nb: "x\nc: 1\n')
    assert.equal(faults.length, 1)
    assert.match(faults[0]!.message, /no valid YAML/)
  })
  it('says so when it is a template', () => {
    assert.match(readSource('issuer: {{ getenv "X" }}\n').faults[0]!.message, /gomplate/)
  })
})
