import { generateKeyPairSync } from 'node:crypto'

/** The engine refuses to start without a key; this one signs nothing and is published nowhere. */
export const placeholderKey = () => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  alg: 'ES256',
})
