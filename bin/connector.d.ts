export { Type } from 'typebox'
export type * from '../connectors/contract.ts'
export { ConnectorFailure, defineConnector, failure } from '../connectors/contract.ts'
