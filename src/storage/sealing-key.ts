/** Where the key comes from that seals what a store must not hold in clear. */
import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { StorageOptions } from './options.ts'
import { newSealingKey, type Sealer, sealerOf } from './seal.ts'

/**
 * The sealer for a store: of the embedded store with the keys of `FILE.key`, which is made with mode 0600 together with
 * the store; of a store in memory with a key that lives as long as the process.
 *
 * The file has one key of 32 bytes a line in base64url. The first seals, all open.
 * @throws with a sentence for the operator when the key of an existing store is missing or unreadable
 */
export async function sealerFor(options: StorageOptions): Promise<Sealer> {
  if (options.type !== 'lowdb') return sealerOf([newSealingKey()])
  const file = resolve((options.config as { file: string }).file)
  const path = sealingKeyPath(file)
  const keys = await readKeys(path)
  if (keys) return sealerOf(keys)
  if (await exists(file))
    throw new Error(
      `storage: the key file ${path} is missing; without it nobody can open what is sealed in ${file}. ` +
        'Restore it from a backup, or move the files of the store away to start with an empty one.',
    )
  return sealerOf(await makeSealingKey(path))
}

/** Where the embedded store of this file keeps its sealing keys. */
export function sealingKeyPath(file: string): string {
  return `${file}.key`
}

/** The keys in `path`, made now when there is no such file. Two that make it at once get the same. */
export async function makeSealingKey(path: string): Promise<Uint8Array[]> {
  const present = await readKeys(path)
  if (present) return present
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${randomUUID()}.tmp`
  const text = `${newSealingKey().toString('base64url')}\n`
  await writeSafely(temporary, text)
  try {
    await link(temporary, path)
  } catch (error) {
    // Somebody was faster, or the file system has no hard links.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await writeSafely(path, text)
  } finally {
    await rm(temporary, { force: true })
  }
  await syncFolder(dirname(path))
  return (await readKeys(path))!
}

/**
 * Puts a new key in front of those in `path`, which seals from then on; the former ones go on opening. Resolves with all of
 * them when the file is safe.
 * @throws with a sentence for the operator when there is no key file
 */
export async function addSealingKey(path: string): Promise<Uint8Array[]> {
  const keys = await readKeys(path)
  if (!keys) throw new Error(`storage: the key file ${path} is missing`)
  const all = [newSealingKey(), ...keys]
  await replaceKeys(path, all)
  return all
}

/** Forgets all keys but the first: what they have sealed, in backups too, is lost. */
export async function keepFirstSealingKey(path: string): Promise<void> {
  const [first] = (await readKeys(path)) ?? []
  if (first) await replaceKeys(path, [first])
}

async function replaceKeys(path: string, keys: readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  await writeSafely(temporary, keys.map((key) => `${Buffer.from(key).toString('base64url')}\n`).join(''))
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function readKeys(path: string): Promise<Uint8Array[] | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const keys = text.split('\n').filter((line) => line.trim() !== '')
  const bytes = keys.map((key) => Buffer.from(key.trim(), 'base64url'))
  if (bytes.length === 0 || bytes.some((key) => key.length !== 32))
    throw new Error(`storage: the key file ${path} is damaged: each line must be a key of 32 bytes in base64url`)
  return bytes
}

async function writeSafely(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
