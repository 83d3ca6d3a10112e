/** Keys of the signer, and what a client says of its signatures. */
import { Type } from 'typebox'
import { localAlgorithms } from '../../oidc/keys/algorithms.ts'
import { text } from './annotate.ts'

export const signer = Type.Object(
  {
    type: Type.Enum(['local', 'vault'], {
      description:
        '`local`: keys are made here and kept in the store. `vault`: HashiCorp Vault or OpenBao signs; see [keys](keys.md).',
    }),
    config: Type.Optional(
      Type.Unknown({ description: 'Settings of that signer. `$NAME` and `${NAME}` are taken from the environment.' }),
    ),
  },
  { description: 'Who signs tokens. Absent: a local RS256 key, rotated every six hours.' },
)

/** `signer.config` of type `local`. */
export const localSigner = Type.Object({
  keysRotationPeriod: Type.String({
    minLength: 1,
    description: 'How long a key signs before the next one takes over; `6h` without a `signer` block.',
    'x-type': 'duration',
  }),
  algorithm: Type.Optional(
    Type.Enum([...localAlgorithms], {
      default: 'RS256',
      description: 'Algorithm of new keys; stock Dex knows no `EdDSA`. A change takes effect at the next rotation.',
    }),
  ),
})

/** `signer.config` of type `vault`. */
export const vaultSigner = Type.Object({
  keyName: text('Key of the Transit engine that is mounted at `transit`. Its type decides the algorithm.', {
    minLength: 1,
  }),
  addr: Type.Optional(text('Address of Vault or OpenBao.', { 'x-default': 'the variable `VAULT_ADDR`' })),
  token: Type.Optional(
    text('Token that may read `transit/keys/NAME` and update `transit/sign/NAME`.', {
      'x-default': 'the variable `VAULT_TOKEN`',
    }),
  ),
})

/** Of an entry of `staticClients`. */
export const signingAlgorithm = Type.Enum([...localAlgorithms], {
  description: 'What the tokens of this client are signed with, by a key of its own algorithm beside the default one.',
  'x-default': '`signer.config.algorithm`',
  'x-own': true,
})
