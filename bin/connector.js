/** `countersign/connector`: what an operator's own connector is written with. The build if there is one, else the sources. */
import { existsSync } from 'node:fs'

const built = new URL('../dist/connector.js', import.meta.url)
const source = new URL('../connectors/contract.ts', import.meta.url)

export const { ConnectorFailure, defineConnector, failure } = await import((existsSync(built) ? built : source).href)
export { Type } from 'typebox'
