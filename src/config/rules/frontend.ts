/** How the pages look: `frontend`. */
import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { FrontendOptions } from '../../server/options.ts'
import type { Part, Reading } from '../reading.ts'
import { DEX_TEMPLATES } from './templates.ts'

const SHIPPED_THEMES = ['light', 'dark', 'auto']
/** Names that Dex maps to its default. */
const LEGACY_THEMES = ['', 'coreos', 'tectonic']

export const readFrontend = async (frontend: Part<'frontend'>, reading: Reading): Promise<FrontendOptions> => {
  const { report, files, env, cwd } = reading
  const named = frontend.dir || env.DEX_FRONTEND_DIR
  const dir = named ? resolve(cwd, named) : undefined
  const written = frontend.theme ?? ''
  const theme = LEGACY_THEMES.includes(written) ? 'auto' : written
  if (dir && !(await files.isFolder(dir))) {
    if (frontend.dir) report.fault('/frontend/dir', `names ${dir}, which is no folder`)
    else report.environment('DEX_FRONTEND_DIR', `names ${dir}, which is no folder`, 'fault')
  } else if (dir) {
    await checkTemplates(dir, frontend.dir ? '/frontend/dir' : '/frontend', reading)
  }
  const ownTheme = dir !== undefined && (await files.isFolder(join(dir, 'themes', theme)))
  if (!SHIPPED_THEMES.includes(theme) && !ownTheme) {
    report.warn(
      '/frontend/theme',
      `names no theme: neither ${SHIPPED_THEMES.join(', ')} nor a folder in frontend.dir/themes`,
    )
  }
  return {
    issuer: frontend.issuer || 'Countersign',
    ...(frontend.logoURL && { logoURL: frontend.logoURL }),
    theme,
    ...(dir && { dir }),
    extra: Object.fromEntries(Object.entries(frontend.extra ?? {}).map(([key, value]) => [key, value ?? ''])),
  }
}

/** Templates of Dex are no templates of ours: who changed one must know that it has no effect. */
const checkTemplates = async (dir: string, pointer: string, { report, files }: Reading): Promise<void> => {
  for (const [name, { hashes, view }] of Object.entries(DEX_TEMPLATES)) {
    const file = join(dir, 'templates', name)
    const content = await files.read(file)
    if (!content || hashes.includes(createHash('sha256').update(content).digest('hex'))) continue
    const instead = view ? `the page is made by ${view}` : 'there is no such page here'
    report.warn(pointer, `holds the changed Dex template ${file}, which is not used: ${instead}`)
  }
}
