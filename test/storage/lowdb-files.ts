/** A folder for the files of one embedded store, made before each test and removed after it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '../../src/lib/logger.ts'
import type { StorageDriver } from '../../src/storage/contract.ts'
import { type LowdbTuning, openLowdb } from '../../src/storage/drivers/lowdb.ts'
import { silent, testClock } from './contract.ts'

export interface LowdbFiles {
  clock: ReturnType<typeof testClock>
  /** The folder above the store's own. */
  root: string
  folder: string
  file: string
  /** Messages of warnings and errors. */
  warnings: string[]
  open(tuning?: LowdbTuning, file?: string): Promise<StorageDriver>
  names(): Promise<string[]>
  bytes(name: string): Promise<Buffer>
  contents(): Promise<Record<string, Buffer>>
}

/** Declares the hooks; what it returns is current in every test of the suite that calls it. */
export function lowdbFiles(): LowdbFiles {
  const clock = testClock()
  const log: Logger = {
    ...silent,
    warn: (message) => self.warnings.push(message),
    error: (message) => self.warnings.push(message),
  }
  const self: LowdbFiles = {
    clock,
    root: '',
    folder: '',
    file: '',
    warnings: [],
    open: (tuning = {}, file = self.file) => openLowdb({ file }, { log, now: () => clock.now() }, tuning),
    names: async () => (await readdir(self.folder)).sort(),
    bytes: (name) => readFile(join(self.folder, name)),
    contents: async () =>
      Object.fromEntries(
        await Promise.all((await self.names()).map(async (name) => [name, await self.bytes(name)] as const)),
      ),
  }
  beforeEach(async () => {
    self.root = await mkdtemp(join(tmpdir(), 'countersign-lowdb-'))
    self.folder = join(self.root, 'state')
    self.file = join(self.folder, 'store')
    self.warnings = []
  })
  afterEach(() => rm(self.root, { recursive: true }))
  return self
}

export async function idsOf(store: StorageDriver, kind: string): Promise<string[]> {
  const found: string[] = []
  for await (const [id] of store.find(kind, {})) found.push(id)
  return found.sort()
}
