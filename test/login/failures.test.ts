import assert from 'node:assert/strict'
import { failure } from '../../connectors/contract.ts'
import { asFailure, describe as describeFailure, failureTable, PageFailure, pageOf } from '../../src/login/failures.ts'

describe('a failure', () => {
  it('is known by its code, whatever copy of the class a module has', () => {
    const own = failure('login_refused', 'no', { safe: 'Not you.' })
    assert.equal(asFailure(own), own)
    const foreign = Object.assign(new Error('no'), { code: 'identity_gone', details: { safe: 'Gone.' } })
    assert.equal(asFailure(foreign), foreign)
    const bare = asFailure(Object.assign(new Error('no answer'), { code: 'upstream_unavailable' }))
    assert.deepEqual([bare?.code, bare?.message], ['upstream_unavailable', 'no answer'])
  })

  for (const other of [
    new Error('no code'),
    Object.assign(new Error('a system error'), { code: 'ECONNREFUSED' }),
    Object.assign(new Error('of every object'), { code: 'toString' }),
    { code: 'login_refused' },
    'login_refused',
    undefined,
  ]) {
    it(`is not ${other instanceof Error ? other.message : JSON.stringify(other)}`, () => {
      assert.equal(asFailure(other), undefined)
    })
  }

  it('has a page with its status, a next step, and of the connector only what is safe', () => {
    const link = new URL('https://github.com/orgs/acme/sso')
    const page = pageOf(failure('not_in_required_groups', 'internal', { safe: 'Ask Ann.', link }))
    assert.ok(page instanceof PageFailure)
    assert.deepEqual([page.status, page.message], [403, 'Ask Ann.'])
    assert.deepEqual(page.link, { href: link.href, text: 'More about it at github.com' })
    const outage = pageOf(failure('upstream_unavailable', 'internal'))
    assert.ok(outage.next)
    assert.doesNotMatch(`${outage.message} ${outage.next}`, /internal/)
    assert.equal(pageOf(failure('rate_limited', 'internal', { retryAfter: 30 })).retryAfter, 30)
  })

  it('says for each code what each reader is told', () => {
    for (const [code, { status, next, client, grant }] of Object.entries(failureTable)) {
      assert.ok(status >= 400, code)
      assert.ok(next, `${code} leaves the person without a next step`)
      const outage = client === 'temporarily_unavailable'
      assert.equal(outage, grant === 'temporarily_unavailable' && code !== 'groups_incomplete', code)
    }
  })

  it('is described to clients in the letters of RFC 6749, 4.1.2.1, with the request’s number', () => {
    assert.equal(describeFailure('a "quoted" \\ back\r\nü text ', '42'), 'a  quoted    back    text (request 42)')
  })
})
