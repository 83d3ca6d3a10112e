import { generateKeyPairSync } from 'node:crypto'

/** What the engine, which knows no other key, takes for the algorithm of whatever is signed. */
export const placeholderAlgorithm = 'ES256'

/** The engine refuses to start without a key; this one signs nothing and is published nowhere. */
export const placeholderKey = () => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  use: 'sig',
  alg: placeholderAlgorithm,
})
