/**
 * Replays recorded answers of Dex against a program and says where it differs.
 *
 *     node test/dex/replay/cli.ts [--only REGEX] [--server 'CMD ARGS'] [THEME…]
 *
 * A theme is a scenario file's name without its ending; none means all. `--only` chooses scenarios by `theme: name`, and
 * `--server` a program that takes `serve FILE`, split at blanks; without it that is this checkout.
 * The exit code is 0 when nothing differs, 1 when something does, 2 when the command line is wrong.
 */
import { parseArgs } from 'node:util'
import { replay } from './run.ts'
import { readTheme, type Theme, themeNames } from './scenarios.ts'
import { countersign, type Program } from './server.ts'

interface Settings {
  program: Program
  only: RegExp
  themes: Theme[]
}

function settings(): Settings {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { server: { type: 'string' }, only: { type: 'string', default: '' } },
  })
  const unknown = positionals.find((name) => !themeNames.includes(name))
  if (unknown !== undefined) throw new Error(`${unknown} is no theme; there is ${themeNames.join(', ')}`)
  const [command, ...args] = values.server?.split(' ').filter(Boolean) ?? countersign
  if (command === undefined) throw new Error('--server names no program')
  const names = positionals.length > 0 ? positionals : themeNames
  return { program: [command, ...args], only: new RegExp(values.only), themes: names.map(readTheme) }
}

async function main(): Promise<void> {
  const { program, only, themes } = settings()
  const count = { equal: 0, better: 0, differ: 0 }
  let first = ''
  for (const theme of themes) {
    const scenario = ({ name }: { name: string }) => only.test(`${theme.theme}: ${name}`)
    for await (const { verdict, why, answers, ...place } of replay(theme, program, { scenario })) {
      count[verdict] += answers
      if (verdict !== 'differ') continue
      const where = `${theme.theme}: ${place.scenario} / ${place.step}`
      first ||= ` (first: ${where})`
      console.log(`FAIL ${where}: ${why}`)
    }
  }
  const { equal, better, differ } = count
  console.log(`replayed: ${equal} equal, ${better} better, ${differ} differ${first}`)
  process.exitCode = differ > 0 || equal + better === 0 ? 1 : 0
}

process.once('SIGINT', () => process.exit(130)) // so that servers are stopped, see server.ts
await main().catch((error: unknown) => {
  console.error(`replay: ${(error as Error).message}`)
  process.exitCode = 2
})
