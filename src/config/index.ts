/** The operator's file: read, expanded, checked, explained, mapped onto the options of each room. */
export { type Loaded, type LoadOptions, loadConfiguration } from './load.ts'
export { type Fault, formatFault } from './report.ts'
export type { Flags } from './rules/listeners.ts'
export type { LocalUser } from './rules/passwords.ts'
export type { Settings } from './settings.ts'
