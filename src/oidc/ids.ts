/** Names of records that stand for values which the store must not hold. */
import { hash } from 'node:crypto'

/** How a value that only its holder may know is found again. */
export const idOf = (value: string): string => hash('sha256', value, 'base64url')
