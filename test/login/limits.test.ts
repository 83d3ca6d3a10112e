import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { type Attempt, type LimitOptions, openLimits } from '../../src/login/limits.ts'

/** So many counters that no two names of a test meet by chance. */
const open = (options: Partial<LimitOptions> = {}) => openLimits({ counters: 2 ** 40, ...options })

const ingress = { address: '10.0.0.1', countable: false }
const at = (address: string) => ({ address, countable: true })
const from = (name: string, address: Attempt['address'] = ingress): Attempt => ({ name, address })

/** Asks so often at the same moment, and counts who may go on. */
const passed = async (times: number, ask: (index: number) => Promise<unknown>): Promise<number> =>
  (await Promise.all(Array.from({ length: times }, (_, index) => ask(index)))).filter((answer) => !answer).length

describe('limits', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date', 'setTimeout'] }))
  afterEach(() => mock.timers.reset())

  describe('of second factors', () => {
    const factor = (userId = 'jane', authenticatorId = 'app', connectorId = 'corp') => ({
      connectorId,
      userId,
      authenticatorId,
    })

    it('let five tries pass in ten minutes, of fifty at the same moment too', async () => {
      const limits = open()
      assert.equal(await passed(50, () => limits.factor(factor())), 5)
      assert.deepEqual(await limits.factor(factor()), { retryAfter: 600, key: 'name' })
      mock.timers.tick(600_000)
      assert.equal(await limits.factor(factor()), undefined)
    })

    it('count each person, authenticator and connector apart, and begin anew after a right one', async () => {
      const limits = open({ factorPerPerson: { tries: 1, seconds: 600 } })
      const all = [factor(), factor('john'), factor('jane', 'key'), factor('jane', 'app', 'other'), factor('JANE')]
      assert.equal(await passed(all.length, (each) => limits.factor(all[each]!)), all.length)
      assert.equal(await passed(all.length, (each) => limits.factor(all[each]!)), 0)
      await limits.factorAccepted(factor())
      assert.equal(await passed(all.length, (each) => limits.factor(all[each]!)), 1)
    })
  })

  describe('of passwords by name', () => {
    it('let ten guesses pass and refuse the eleventh, until ten minutes after the first', async () => {
      const limits = open()
      const guess = () => limits.password('ldap', from('jane'))
      assert.equal(await guess(), undefined)
      mock.timers.tick(60_000)
      for (let tried = 2; tried <= 10; tried++) assert.equal(await guess(), undefined)
      assert.deepEqual(await guess(), { retryAfter: 540, key: 'name' })

      // Going on does not make it longer.
      mock.timers.tick(539_500)
      assert.deepEqual(await guess(), { retryAfter: 1, key: 'name' })
      mock.timers.tick(500)
      assert.equal(await guess(), undefined)
    })

    it('let ten of fifty parallel guesses pass', async () => {
      const limits = open()
      assert.equal(await passed(50, () => limits.password('ldap', from('jane'))), 10)
    })

    it('count one name however it is typed', async () => {
      const same = [
        [
          'jane',
          'JANE',
          ' jane\t',
          'jane\u0000',
          'ja\u200bne',
          'ｊａｎｅ',
          'ja\u00adne',
          '\ufeffjane',
          'jáne',
          'ja\u0301ne',
        ],
        ['jane doe', 'Jane  Doe', 'janeDoe', 'jane\u00a0doe'],
        ['straße', 'STRASSE', 'strasse', 'STRAẞE'],
        ['ὈΔΥΣΣΕΎΣ', 'ὀδυσσεύς', 'οδυσσευσ'],
        ['İrem', 'irem', 'IREM', 'ırem'],
        ['ﬁona', 'FIONA'],
      ]
      for (const spellings of same) {
        const limits = open({ passwordPerName: { tries: 1, seconds: 600 } })
        const answers = await passed(spellings.length, (index) => limits.password('ldap', from(spellings[index]!)))
        assert.equal(answers, 1, spellings[0])
      }
    })

    it('count names, and the same name at another connector, apart', async () => {
      const limits = open({ passwordPerName: { tries: 1, seconds: 600 } })
      const attempts = [
        ['ldap', 'jane'],
        ['local', 'jane'],
        ['ldap', 'john'],
        ['ldap', 'jane@example.com'],
        ['lda', 'pjane'],
        ['ldap', `${'x'.repeat(100_000)}1`],
        ['ldap', `${'x'.repeat(100_000)}2`],
      ] as const
      assert.equal(await passed(7, (index) => limits.password(attempts[index]![0], from(attempts[index]![1]))), 7)
    })

    it('begin anew after a right password', async () => {
      const limits = open()
      assert.equal(await passed(9, () => limits.password('ldap', from('jane'))), 9)
      assert.equal(await limits.password('ldap', from('jane')), undefined)
      await limits.passwordAccepted('ldap', from('Jane '))
      assert.equal(await passed(11, () => limits.password('ldap', from('jane'))), 10)
      await limits.passwordAccepted('local', from('jane'))
      await limits.passwordAccepted('ldap', from('john'))
      assert.equal((await limits.password('ldap', from('jane')))?.key, 'name')
    })

    it('keep no more counts than they were told', async () => {
      const limits = open({ counters: 20 })
      assert.ok((await passed(1_000, (index) => limits.password('ldap', from(`made up ${index}`)))) <= 200)
    })
  })

  describe('of passwords by address', () => {
    it('stop one address that tries many names, and nobody else', async () => {
      const limits = open()
      const spray = (address: string) => (index: number) => limits.password('ldap', from(`user${index}`, at(address)))
      assert.equal(await passed(150, spray('198.51.100.9')), 100)
      assert.deepEqual(await limits.password('local', from('jane', at('198.51.100.9'))), {
        retryAfter: 600,
        key: 'address',
      })
      assert.equal(await passed(100, spray('198.51.100.10')), 100)
    })

    it('take nothing from the count of a name once the address is stopped', async () => {
      const limits = open({ passwordPerAddress: { tries: 1, seconds: 600 } })
      await passed(50, () => limits.password('ldap', from('jane', at('198.51.100.9'))))
      assert.equal(await passed(50, () => limits.password('ldap', from('jane'))), 9)
    })

    it('never count an address that stands for many', async () => {
      const limits = open()
      assert.equal(await passed(1_000, (index) => limits.password('ldap', from(`user${index}`))), 1_000)
      assert.equal(await limits.password('ldap', from('jane')), undefined)
    })

    it('count an IPv6 network of 64 bits as one', async () => {
      const limits = open({ passwordPerAddress: { tries: 1, seconds: 600 } })
      const asked = async (address: string) => (await limits.password('ldap', from(address, at(address))))?.key
      assert.equal(await asked('2600:1:2:3::1'), undefined)
      assert.equal(await asked('2600:1:2:3:ffff:ffff:ffff:ffff'), 'address')
      assert.equal(await asked('2600:1:2:4::1'), undefined)
      assert.equal(await asked('2600::1'), undefined)
      assert.equal(await asked('2600::2'), 'address')
    })

    it('do not count right passwords, and do not begin anew after one', async () => {
      const limits = open({ passwordPerAddress: { tries: 3, seconds: 600 } })
      const office = at('198.51.100.9')
      for (let person = 0; person < 20; person++) {
        assert.equal(await limits.password('ldap', from(`user${person}`, office)), undefined)
        await limits.passwordAccepted('ldap', from(`user${person}`, office))
      }
      assert.equal(await passed(5, (index) => limits.password('ldap', from(`other${index}`, office))), 3)
      await limits.passwordAccepted('ldap', from('other0', office))
      assert.equal((await limits.password('ldap', from('jane', office)))?.key, 'address')
    })

    it('give nothing back when nothing was counted', async () => {
      const limits = open({ passwordPerAddress: { tries: 3, seconds: 600 } })
      const jane = from('jane', at('198.51.100.9'))
      for (let time = 0; time < 5; time++) await limits.passwordAccepted('ldap', jane)
      assert.equal(await passed(5, () => limits.password('ldap', jane)), 3)
      for (let time = 0; time < 9; time++) await limits.passwordAccepted('ldap', jane)
      assert.equal(await passed(5, () => limits.password('ldap', jane)), 3)
    })
  })

  describe('of user codes', () => {
    it('stop an address after ten in a minute', async () => {
      const limits = open()
      assert.equal(await passed(50, () => limits.userCode(at('198.51.100.9'))), 10)
      assert.deepEqual(await limits.userCode(at('198.51.100.9')), { retryAfter: 60, key: 'address' })
      assert.equal(await limits.userCode(at('198.51.100.10')), undefined)
      mock.timers.tick(60_000)
      assert.equal(await limits.userCode(at('198.51.100.9')), undefined)
    })

    it('stop everybody after three hundred in a minute, and count no refused one among them', async () => {
      const limits = open()
      await passed(500, () => limits.userCode(at('198.51.100.9')))
      assert.equal(await passed(500, () => limits.userCode(ingress)), 290)
      assert.deepEqual(await limits.userCode(at('198.51.100.10')), { retryAfter: 60, key: 'total' })
      mock.timers.tick(60_000)
      assert.equal(await limits.userCode(ingress), undefined)
    })

    it('leave passwords and device starts alone', async () => {
      const limits = open()
      await passed(500, () => limits.userCode(ingress))
      await passed(50, () => limits.userCode(at('198.51.100.9')))
      assert.equal(await limits.password('ldap', from('jane', at('198.51.100.9'))), undefined)
      assert.equal(await limits.deviceStart(at('198.51.100.9')), undefined)
    })
  })

  describe('of device starts', () => {
    it('stop an address after sixty in a minute', async () => {
      const limits = open()
      assert.equal(await passed(100, () => limits.deviceStart(at('198.51.100.9'))), 60)
      assert.deepEqual(await limits.deviceStart(at('198.51.100.9')), { retryAfter: 60, key: 'address' })
    })

    it('stop everybody after three thousand in five minutes', async () => {
      const limits = open()
      assert.equal(await passed(4_000, () => limits.deviceStart(ingress)), 3_000)
      mock.timers.tick(100)
      assert.deepEqual(await limits.deviceStart(ingress), { retryAfter: 300, key: 'total' })
    })
  })

  it('answer at least one whole second', async () => {
    const limits = open({ passwordPerName: { tries: 1, seconds: 0.01 } })
    await limits.password('ldap', from('jane'))
    assert.deepEqual(await limits.password('ldap', from('jane')), { retryAfter: 1, key: 'name' })
  })
})
