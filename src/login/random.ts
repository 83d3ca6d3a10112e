import { randomBytes } from 'node:crypto'

/** 256 random bits as 43 letters of the base64url alphabet. */
export const randomState = (): string => randomBytes(32).toString('base64url')
