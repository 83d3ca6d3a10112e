/**
 * Checks of schemas that were compiled before the start, which costs a third of its time and 7 MB. There are none in the
 * sources: `npm run build` puts another module in the place of this one.
 */
import { hash } from 'node:crypto'
import type { ValidateFunction } from 'ajv/dist/2020.js'

/** By what `fingerprint` says of the schema. */
export const compiled: Readonly<Record<string, ValidateFunction>> = {}

/** Names a schema by its text, so that a check belongs to no other. */
export const fingerprint = (schema: object): string => hash('sha256', JSON.stringify(schema), 'base64url')
