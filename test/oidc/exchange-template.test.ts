import assert from 'node:assert/strict'
import { claimAt, fill, templateFault } from '../../src/oidc/exchange/template.ts'

const claims = {
  sub: 'a',
  number: 12,
  yes: true,
  list: ['x'],
  'kubernetes.io': { namespace: 'payments', 'a/b': 'slash', 'c~d': 'tilde' },
  nothing: null,
}

describe('a claim', () => {
  const cases: [name: string, value: unknown][] = [
    ['sub', 'a'],
    ['kubernetes.io', claims['kubernetes.io']],
    ['/kubernetes.io/namespace', 'payments'],
    ['/kubernetes.io/a~1b', 'slash'],
    ['/kubernetes.io/c~0d', 'tilde'],
    ['/list/0', undefined],
    ['/sub/length', undefined],
    ['/kubernetes.io/missing/further', undefined],
    ['constructor', undefined],
    ['/kubernetes.io/constructor', undefined],
    ['__proto__', undefined],
  ]
  for (const [name, value] of cases) it(`"${name}"`, () => assert.deepEqual(claimAt(claims, name), value))
})

describe('a template', () => {
  const cases: [template: string, text: string | undefined][] = [
    ['plain', 'plain'],
    ['{{sub}}', 'a'],
    ['x-{{ sub }}-{{number}}-{{yes}}', 'x-a-12-true'],
    ['{{/kubernetes.io/namespace}}/x', 'payments/x'],
    ['{{missing}}', undefined],
    ['{{list}}', undefined],
    ['{{nothing}}', undefined],
    ['{{kubernetes.io}}', undefined],
  ]
  for (const [template, text] of cases) {
    it(`"${template}" ${text === undefined ? 'cannot be filled' : `is "${text}"`}`, () => {
      assert.equal(templateFault(template), undefined)
      const filled = fill(template, claims)
      assert.equal('text' in filled ? filled.text : undefined, text)
    })
  }

  it('is not filled a second time by what a claim holds', () => {
    assert.deepEqual(fill('{{sub}}', { sub: '{{secret}}', secret: 's' }), { text: '{{secret}}' })
  })
})
