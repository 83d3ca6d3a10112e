import assert from 'node:assert/strict'
import type { NameRule } from '../../src/oidc/options.ts'
import { preferredUsername } from '../../src/oidc/preferred-username.ts'

/** As KubeSphere checks names, of at most 32 letters. */
const kubesphere = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const rule = (more: Partial<NameRule> = {}): NameRule => ({
  cutDomain: true,
  form: 'kubernetes',
  maxLength: 32,
  suffix: 'never',
  ...more,
})
const named = (name: string, more: Partial<NameRule> = {}, sub = 'sub') =>
  preferredUsername({ userId: 'id', preferredUsername: name }, sub, rule(more))

describe('preferred_username by a rule of the client (KS-5)', () => {
  const rows: [name: string, made: string][] = [
    ['jane', 'jane'],
    ['jane@example.com', 'jane'],
    ['@example.com', 'example.com'],
    ['Jane.Doe@a@b', 'jane.doe-a'],
    ['team_x', 'team-x'],
    ['Ünïcode Näme', 'unicode-name'],
    ['-.a..b-.-', 'a.b'],
    ['李雷', 'user'],
    ['', 'user'],
    ['x'.repeat(40), 'x'.repeat(32)],
    [`${'x'.repeat(31)}-yyy`, 'x'.repeat(31)],
    ['a'.repeat(31).concat('.bcd'), 'a'.repeat(31)],
  ]
  for (const [name, made] of rows) {
    it(`makes "${made}" of "${name}"`, () => {
      assert.equal(preferredUsername({ userId: name, username: name }, 'sub', rule()), made)
      assert.match(made, kubesphere)
    })
  }

  it('always fits, whatever comes, with the suffix inside the length', () => {
    for (const name of ['jane@example.com', 'x'.repeat(99), '___', '🦊'.repeat(20), 'a.'.repeat(30), ' ']) {
      for (const maxLength of [12, 20, 32, 63]) {
        const made = named(name, { suffix: 'always', maxLength })!
        assert.match(made, kubesphere, name)
        assert.ok(made.length <= maxLength, made)
      }
    }
  })

  it('keeps people apart who would have one name, and gives each the same one always', () => {
    const made = ['sub-1', 'sub-2'].map((sub) => named('jane@example.com', { suffix: 'always' }, sub))
    assert.equal(new Set(made).size, 2)
    assert.equal(named('jane@example.com', { suffix: 'always' }, 'sub-1'), made[0])
    // A name that the rule did not touch stays, where the operator says that this is enough.
    assert.equal(named('jane', { suffix: 'changed' }), 'jane')
    assert.match(named('jane@example.com', { suffix: 'changed' })!, /^jane-[a-z2-7]{8}$/)
    assert.match(named('x'.repeat(33), { suffix: 'changed' })!, /^x{23}-[a-z2-7]{8}$/)
  })

  it('may only cut', () => {
    const as = { form: 'as-is', maxLength: 12 } as const
    assert.equal(named('Jane_Doe@example.com', as), 'Jane_Doe')
    assert.equal(named(`${'x'.repeat(11)}🦊`, as), 'x'.repeat(11))
  })

  it('without a rule is what the upstream says', () => {
    assert.equal(preferredUsername({ userId: 'id', preferredUsername: 'J@x' }, 'sub', undefined), 'J@x')
    assert.equal(
      preferredUsername({ userId: 'id', username: 'Jane', preferredUsername: '' }, 's', undefined),
      undefined,
    )
  })
})
