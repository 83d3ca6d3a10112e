/** Faults and warnings of one file, each with its place. */
import type { Node, Place } from './source.ts'

/** What keeps a file from being served, or is doubtful in it. */
export interface Fault {
  /** The file as it was named, or `environment`. */
  file: string
  /** From 1; 0 when the fault has no line. */
  line: number
  column: number
  /** Such as `connectors[0].config.clientID`; empty for the whole file. */
  path: string
  /** The rest of a sentence about that place. */
  message: string
  /** The valid name that was most likely meant. */
  nearest?: string
}

/** One line: `file:line:column: path: message`. */
export const formatFault = ({ file, line, column, path, message, nearest }: Fault): string => {
  const place = line > 0 ? `${file}:${line}:${column}` : file
  const hint = nearest === undefined ? '' : ` (did you mean "${nearest}"?)`
  return [place, ...(path === '' ? [] : [path]), `${message}${hint}`].join(': ')
}

interface More {
  nearest?: string | undefined
  /** Dex refuses it too when it is told to be strict about keys. */
  unknownKey?: boolean
}

/** Gathers what is found; places are JSON pointers (RFC 6901) into the file as it is understood. */
export interface Report {
  readonly faults: Fault[]
  readonly warnings: (Fault & { unknownKey?: boolean })[]
  fault(pointer: string, message: string, more?: More): void
  warn(pointer: string, message: string, more?: More): void
  /** Of what no line of the file says. */
  environment(name: string, message: string, severity: 'fault' | 'warning', nearest?: string): void
  /** Of a place in the text that has no pointer. */
  at(place: Place, path: string, message: string, severity: 'fault' | 'warning'): void
  /** Remembers where a pointer leads. */
  locate(pointer: string, place: Place, node?: Node): void
  node(pointer: string): Node | undefined
  /** Whether a fault was found there, below, or in what it is part of: a further one would only repeat it. */
  broken(pointer: string): boolean
}

export const createReport = (file: string): Report => {
  const places = new Map<string, { place: Place; node?: Node }>()
  const broken = new Set<string>()
  const faults: Fault[] = []
  const warnings: Report['warnings'] = []

  const describe = (
    pointer: string,
    message: string,
    { nearest, unknownKey }: More = {},
  ): Fault & { unknownKey?: boolean } => ({
    file,
    ...placeOf(pointer),
    path: readable(pointer),
    message,
    ...(nearest !== undefined && { nearest }),
    ...(unknownKey && { unknownKey }),
  })
  const placeOf = (pointer: string): Place => {
    for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      const known = places.get(at)
      if (known) return known.place
    }
    return places.get('')?.place ?? { line: 0, column: 0 }
  }

  return {
    faults,
    warnings,
    fault: (pointer, message, more) => {
      broken.add(pointer)
      faults.push(describe(pointer, message, more))
    },
    warn: (pointer, message, more) => {
      warnings.push(describe(pointer, message, more))
    },
    environment: (name, message, severity, nearest) => {
      const found: Fault = {
        file: 'environment',
        line: 0,
        column: 0,
        path: name,
        message,
        ...(nearest !== undefined && { nearest }),
      }
      if (severity === 'fault') faults.push(found)
      else warnings.push(found)
    },
    at: (place, path, message, severity) => {
      const found: Fault = { file, ...place, path, message }
      if (severity === 'fault') faults.push(found)
      else warnings.push(found)
    },
    locate: (pointer, place, node) => {
      places.set(pointer, { place, ...(node && { node }) })
    },
    node: (pointer) => places.get(pointer)?.node,
    broken: (pointer) =>
      [...broken].some((at) => at === pointer || at.startsWith(`${pointer}/`) || pointer.startsWith(`${at}/`)),
  }
}

/** `/connectors/0/config/clientID` as people write it. */
export const readable = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '')

/** One step further down a JSON pointer. */
export const child = (pointer: string, key: string | number): string =>
  `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
