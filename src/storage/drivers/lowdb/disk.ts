/** What the embedded store asks of the disk. One small interface, so that a test can let any step of it fail. */
import { constants } from 'node:fs'
import { copyFile, type FileHandle, link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A file that grows at its end. */
export interface AppendFile {
  /** Writes at `position` (bytes) and resolves when it is safe on the disk. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Cuts the file to `length` bytes and resolves when that is safe. */
  truncate(length: number): Promise<void>
  close(): Promise<void>
}

export interface Disk {
  /** `undefined` when there is no such file. */
  read(path: string): Promise<Buffer | undefined>
  /** Names in a folder, without their paths. */
  list(folder: string): Promise<string[]>
  /** Opens an existing file. */
  openAppend(path: string): Promise<AppendFile>
  /** Replaces `path` in one step: temporary file, fdatasync, rename, fsync of the folder. Mode 0600. */
  replace(path: string, chunks: Iterable<string> | AsyncIterable<string>): Promise<void>
  /** Keeps the content of `from` under a second name, replacing what had that name. */
  keep(from: string, as: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes the entries of a folder safe. */
  syncFolder(folder: string): Promise<void>
  /** Makes a folder and those above it, mode 0700, when missing. */
  makeFolder(folder: string): Promise<void>
}

const mode = 0o600

export const disk: Disk = {
  async read(path) {
    try {
      return await readFile(path)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  },

  list: (folder) => readdir(folder),

  openAppend: async (path) => appendFile(await open(path, 'r+')),

  async replace(path, chunks) {
    const temporary = `${path}.tmp`
    // A leftover of a process that was killed may have another mode: make the file anew.
    await rm(temporary, { force: true })
    const file = await open(temporary, 'wx', mode)
    try {
      for await (const chunk of chunks) await file.appendFile(chunk)
      await file.datasync()
    } catch (error) {
      await file.close()
      await rm(temporary, { force: true })
      throw error
    }
    await file.close()
    await rename(temporary, path)
    await disk.syncFolder(dirname(path))
  },

  async keep(from, as) {
    const temporary = `${as}.tmp`
    await rm(temporary, { force: true })
    try {
      await link(from, temporary)
    } catch {
      // Some file systems have no hard links.
      await copyFile(from, temporary, constants.COPYFILE_EXCL)
      const copy = await open(temporary, 'r+')
      try {
        await copy.chmod(mode)
        await copy.datasync()
      } finally {
        await copy.close()
      }
    }
    await rename(temporary, as)
    await disk.syncFolder(dirname(as))
  },

  remove: (path) => rm(path, { force: true }),

  async syncFolder(folder) {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },

  async makeFolder(folder) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  },
}

function appendFile(file: FileHandle): AppendFile {
  return {
    async write(bytes, position) {
      let done = 0
      while (done < bytes.length) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
        done += bytesWritten
      }
      await file.datasync()
    },
    async truncate(length) {
      await file.truncate(length)
      await file.datasync()
    },
    close: () => file.close(),
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
