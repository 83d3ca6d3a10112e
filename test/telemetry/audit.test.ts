import assert from 'node:assert/strict'
import { openAudit } from '../../src/telemetry/audit.ts'
import { openLog } from '../../src/telemetry/log.ts'

describe('audit', () => {
  it('writes events whatever the level, with the attributes of the request', () => {
    const written: string[] = []
    const log = openLog(
      { level: 100, format: 'text', excludeFields: [] },
      { write: (text) => void written.push(text) },
      { attributes: () => ({ request_id: 'r-1' }), now: () => new Date(0) },
    )
    const audit = openAudit(log)
    log.error('silenced')
    audit({ type: 'login_succeeded', connector_id: 'okta', user_id: '00u1', email: 'a@b.c', client_id: 'web' })
    audit({ type: 'rate_limited', what: 'password', key: 'name', user: 'ann' })
    log.flush()
    assert.equal(
      written.join(''),
      'time=1970-01-01T00:00:00.000Z level=INFO msg=audit type=login_succeeded connector_id=okta user_id=00u1 ' +
        'email=a@b.c client_id=web request_id=r-1\n' +
        'time=1970-01-01T00:00:00.000Z level=INFO msg=audit type=rate_limited what=password key=name user=ann request_id=r-1\n',
    )
  })
})
