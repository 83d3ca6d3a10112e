import assert from 'node:assert/strict'
import { enrolmentAddress, newSecret, qrPicture, stepOf } from '../../../src/login/factors/totp.ts'
import { codeOf } from '../../flows/authenticator.ts'

/** "12345678901234567890", RFC 6238, appendix B; with six digits instead of eight. */
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const vectors: [seconds: number, code: string][] = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
]

describe('codes of an application', () => {
  it('are those of RFC 6238', () => {
    for (const [seconds, code] of vectors) {
      assert.equal(stepOf(secret, code, new Date(seconds * 1000)), Math.floor(seconds / 30), code)
      assert.equal(codeOf(secret, 0, seconds * 1000), code, 'the application of the tests knows it too')
    }
  })

  it('are good one step before and after', () => {
    const step = 41_152_263
    for (const [away, expected] of [
      [-2, undefined],
      [-1, step],
      [0, step],
      [1, step],
      [2, undefined],
    ] as const) {
      assert.equal(stepOf(secret, '005924', new Date((step + away) * 30_000 + 15_000)), expected, String(away))
    }
  })

  it('are six digits of ASCII, with blanks anywhere', () => {
    const now = new Date(1_234_567_890_000)
    for (const code of ['005 924', ' 005924\n', '0 0 5 9 2 4']) assert.equal(stepOf(secret, code, now), 41_152_263)
    for (const code of ['', '5924', '0005924', '00592a', '００５９２４', '-05924', '+05924', '5924e0', '005924,']) {
      assert.equal(stepOf(secret, code, now), undefined, code)
    }
  })

  it('come from a new secret of 160 bits each time', () => {
    const secrets = new Set(Array.from({ length: 100 }, newSecret))
    assert.equal(secrets.size, 100)
    for (const each of secrets) assert.match(each, /^[A-Z2-7]{32}$/)
  })

  it('are set up by an address whose label cannot be taken apart elsewhere', () => {
    const address = enrolmentAddress(secret, 'Acme & Co', '(corp) a:b@example.com')
    assert.equal(
      address,
      `otpauth://totp/Acme%20%26%20Co:(corp)%20a%20b%40example.com?issuer=Acme%20%26%20Co&secret=${secret}&algorithm=SHA1&digits=6&period=30`,
    )
    assert.match(qrPicture(address), /^data:image\/svg\+xml,%3Csvg [^"<>#]*$/)
    assert.ok(qrPicture(address).length < 8000)
  })
})
