import assert from 'node:assert/strict'
import { crash, describeCrash } from '../server/crash.ts'

describe('the embedded store under kill -9', () => {
  it('keeps every refresh token that it gave out, through twenty kills under load', async () => {
    const kills = 20
    const report = await crash({ kills, clients: 16, answers: [50, 1000], killStartEvery: 4 })
    console.log(`  ${describeCrash(kills, report)}`)
  })

  it('answers a refresh that was cut off when it is repeated within reuseInterval', async () => {
    const kills = 10
    const report = await crash({ kills, clients: 16, answers: [50, 500], reuseInterval: '5m' })
    console.log(`  ${describeCrash(kills, report)}`)
    assert.ok(report.cutOff > 0)
    assert.equal(report.cutOffDone, 0)
  })
})
