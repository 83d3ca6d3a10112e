/** A logger that keeps what it is told, for tests that wait for a line instead of for time. */
import type { Attributes, Logger } from '../../src/lib/logger.ts'

export interface KeptRecord {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
  attributes: Attributes
}

export interface KeptLog extends Logger {
  records: KeptRecord[]
  /** The next record with this message, or one that is already there. */
  heard(message: string): Promise<KeptRecord>
}

export const keepLog = (): KeptLog => {
  const records: KeptRecord[] = []
  const waiting: { message: string; resolve(record: KeptRecord): void }[] = []
  const at =
    (level: KeptRecord['level']) =>
    (message: string, attributes: Attributes = {}): void => {
      const record = { level, message, attributes }
      records.push(record)
      for (const entry of waiting) if (entry.message === message) entry.resolve(record)
    }
  const log: KeptLog = {
    records,
    heard: (message) => {
      const found = records.find((record) => record.message === message)
      if (found !== undefined) return Promise.resolve(found)
      return new Promise((resolve) => waiting.push({ message, resolve }))
    },
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  }
  return log
}
