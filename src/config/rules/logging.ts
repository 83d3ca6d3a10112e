/** What is logged: `logger`. */
import { nearest } from '../../lib/nearest.ts'
import type { LogOptions } from '../../telemetry/options.ts'
import type { Part, Reading } from '../reading.ts'

const LEVELS: Record<string, number | undefined> = { debug: -4, info: 0, warn: 4, error: 8 }

export const readLogger = (logger: Part<'logger'>, { report }: Reading): LogOptions => {
  const level = parseLevel(logger.level ?? 'info')
  if (level === undefined) {
    const names = Object.keys(LEVELS)
    const near = nearest(logger.level!, [...names, 'warning']) === 'warning' ? 'warn' : nearest(logger.level!, names)
    report.fault('/logger/level', `must be ${names.join(', ')}, or one with an offset such as info+2`, {
      nearest: near,
    })
  }
  const format = (logger.format || 'text').toLowerCase()
  if (format !== 'text' && format !== 'json') {
    report.fault('/logger/format', 'must be text or json', { nearest: nearest(format, ['text', 'json']) })
  }
  return { level: level ?? 0, format: format === 'json' ? 'json' : 'text', excludeFields: logger.excludeFields ?? [] }
}

/** As slog reads levels: a name in any case, with an offset or without. */
export const parseLevel = (text: string): number | undefined => {
  const [, name = '', offset = '0'] = /^([A-Za-z]+)([+-]\d+)?$/.exec(text) ?? []
  const level = LEVELS[name.toLowerCase()]
  return level === undefined ? undefined : level + Number(offset)
}
