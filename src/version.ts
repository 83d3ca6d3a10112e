import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** From the nearest package.json: that of the sources, or of the build. */
export const version: string = find(import.meta.dirname)

function find(folder: string): string {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version
  } catch {
    const above = dirname(folder)
    return above === folder ? '0.0.0' : find(above)
  }
}
