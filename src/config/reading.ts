/** What the rules of all sections share while one file is read. */
import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import type { Environment } from './environment.ts'
import type { Configuration } from './keys/index.ts'
import type { Report } from './report.ts'

/** Looks at files that a configuration names. */
export interface Files {
  readable(path: string): Promise<boolean>
  /** `undefined` when it cannot be read. */
  read(path: string): Promise<Uint8Array | undefined>
  isFolder(path: string): Promise<boolean>
}

export const localFiles: Files = {
  readable: (path) =>
    access(path, constants.R_OK).then(
      () => true,
      () => false,
    ),
  read: (path) => readFile(path).catch(() => undefined),
  isFolder: (path) =>
    stat(path).then(
      (found) => found.isDirectory(),
      () => false,
    ),
}

export interface Reading {
  report: Report
  env: Environment
  /** Whether `$NAME` in `config:` blocks is expanded. */
  expandEnv: boolean
  files: Files
  /** Folder of the configuration file, absolute. */
  folder: string
  /** Folder that relative paths of the file start from, as in Dex: the current one, absolute. */
  cwd: string
  /** Sentences worth printing at the start that are no fault of the file. */
  notes: string[]
}

/** Anything may be missing: what was at fault has been reported and taken out. */
type Loose<T> = T extends (infer Item)[] ? Loose<Item>[] : T extends object ? { [Key in keyof T]?: Loose<T[Key]> } : T
export type Understood = Loose<Configuration>
export type Part<Key extends keyof Configuration> = NonNullable<Understood[Key]>
