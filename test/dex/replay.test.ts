import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { check } from '../../src/cli/check.ts'
import { different } from './different.ts'
import { replay } from './replay/run.ts'
import { type Configuration, readTheme, type Theme, themeNames } from './replay/scenarios.ts'
import { configurationText, countersign, namesAt, type Program } from './replay/server.ts'
import { namesOf, standInNames } from './replay/upstreams/index.ts'
import { unbuilt } from './unbuilt.ts'

/** `COUNTERSIGN_PROGRAM` names another program that takes `serve FILE`. */
const programUnderTest = (): Program => {
  const { COUNTERSIGN_PROGRAM: program } = process.env
  if (!program) return countersign
  return /\.[jt]s$/.test(program) ? [process.execPath, program] : [program]
}

const themes = new Map<string, Theme>(themeNames.map((name) => [name, readTheme(name)]))
const isUnbuilt = (theme: string, config: string): boolean =>
  unbuilt.some((each) => each.theme === theme && each.config === config)

/** Fails with one line each. */
const none = (lines: string[]) => {
  if (lines.length > 0) assert.fail(`\n${lines.join('\n')}`)
}
const placeOf = ({ scenario, step }: { scenario: string; step: string }): string => `${scenario} / ${step}`

describe('recorded answers of Dex', () => {
  const count = { equal: 0, better: 0, differ: 0, onPurpose: 0 }
  after(() => {
    const { equal, better, differ, onPurpose } = count
    console.log(`  ${equal} equal, ${better} better, ${onPurpose} different on purpose, ${differ} differ`)
  })

  for (const [name, theme] of themes) {
    const built = Object.keys(theme.configs).filter((config) => !isUnbuilt(name, config))
    if (built.length === 0) continue

    it(`${name}: ${theme.theme} replays with no difference`, async function () {
      this.timeout(120_000)
      const outcomes = replay(theme, programUnderTest(), { configuration: (config) => built.includes(config) })
      const stale = new Set(different.filter((each) => each.theme === name).map(placeOf))
      const failures: string[] = []
      for await (const outcome of outcomes) {
        const place = placeOf(outcome)
        if (outcome.verdict !== 'differ') count[outcome.verdict] += outcome.answers
        else if (stale.delete(place)) count.onPurpose += 1
        else {
          count.differ += outcome.answers
          failures.push(`FAIL ${place}: ${outcome.why}`)
        }
      }
      for (const place of stale)
        failures.push(`${place}: does not differ, or did not come: take it out of different.ts`)
      none(failures)
    })
  }

  it('names for each configuration that is left out a part that check calls not built', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'recorded-answers-'))
    try {
      const wrong = await Promise.all(
        unbuilt.map(async ({ theme, config }, index) => {
          const configuration = themes.get(theme)?.configs[config]
          if (!configuration) return `${theme} has no configuration ${config}`
          const file = join(folder, `${index}.json`)
          const { code, printed } = await checked(file, configuration)
          if (code === 0) return `${theme} ${config} is accepted by now: take it out of unbuilt.ts`
          const others = printed.filter((line) => line.startsWith('error: ') && !line.includes('not built yet'))
          return others.map((line) => `${theme} ${config}: ${line}`)
        }),
      )
      none(wrong.flat())
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  const checked = async (file: string, { file: settings }: Configuration) => {
    const standIn = { url: 'https://127.0.0.1:1', ca: { pem: '', file } }
    const names = Object.assign(namesAt(1, settings), ...standInNames.map((name) => namesOf(name, standIn)))
    await writeFile(file, configurationText(settings, { ...names, callback: 'http://127.0.0.1:2/callback' }))
    let printed = ''
    const code = await check(file, { env: {}, stdout: { write: (text) => (printed += text) } })
    return { code, printed: printed.split('\n') }
  }

  it('differs on purpose in ten places at most, each by a clause', () => {
    assert.ok(different.length <= 10)
    none(different.filter(({ why }) => !/^(RFC \d+|OpenID Connect [\w ]+), [\d.]+: ./.test(why)).map(placeOf))
  })

  it('names for each difference a step that is recorded and replayed', () => {
    const isReplayed = ({ theme, scenario, step }: (typeof different)[number]): boolean => {
      const found = themes.get(theme)?.scenarios.find(({ name }) => name === scenario)
      return found !== undefined && !isUnbuilt(theme, found.config) && found.steps.some((each) => each.step === step)
    }
    none(different.filter((each) => !isReplayed(each)).map((each) => `${each.theme}: ${placeOf(each)}`))
  })
})
