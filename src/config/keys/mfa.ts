/** Keys of second factors: `mfa`, and the `config:` of each kind of authenticator. */
import { Type } from 'typebox'
import { duration, listOf, text } from './annotate.ts'

export const mfa = Type.Object(
  {
    authenticators: Type.Optional(
      Type.Array(
        Type.Object({
          id: text('Name of the authenticator, by which factors are kept: never change it.', { minLength: 1 }),
          type: Type.Enum(['TOTP', 'WebAuthn'], {
            description: 'Kind of second factor: codes of an application, or security keys and passkeys.',
          }),
          config: Type.Optional(
            Type.Unknown({ description: 'Settings of that kind; see [second factors](second-factors.md).' }),
          ),
          connectorTypes: Type.Optional(
            listOf('Connector types whose people it applies to; a login by another type skips it. Empty: all.'),
          ),
        }),
        { description: 'Second factors that there are.' },
      ),
    ),
    defaultMFAChain: Type.Optional(
      listOf('Authenticators that a login needs, all of them in this order, for clients without an `mfaChain`.'),
    ),
    rememberFor: Type.Optional(
      Type.String({
        description:
          'How long the session of a browser remembers a second factor that was shown in it. Without it every authorization asks again, as in Dex.',
        'x-type': 'duration',
        'x-default': '0s',
        'x-own': true,
      }),
    ),
  },
  { description: 'Second factors; see [second factors](second-factors.md).' },
)

export const totp = Type.Object(
  {
    issuer: Type.Optional(text('What the application shows beside the code.', { 'x-default': '`frontend.issuer`' })),
  },
  { additionalProperties: false },
)

export const webAuthn = Type.Object(
  {
    rpDisplayName: Type.Optional(text('What the browser calls this service.', { 'x-default': '`rpID`' })),
    rpID: Type.Optional(text('Domain that keys are bound to: never change it.', { 'x-default': 'host of the issuer' })),
    rpOrigins: Type.Optional(
      listOf('Origins of pages that may ask for a key.', { 'x-default': 'origin of the issuer' }),
    ),
    attestationPreference: Type.Optional(
      Type.Enum(['none', 'indirect', 'direct'], {
        description: 'Whether the browser is asked what the maker of a new key says of it.',
        'x-default': 'indirect',
      }),
    ),
    timeout: Type.Optional(duration('How long the browser waits for the person.', '1m')),
    userVerification: Type.Optional(
      Type.Enum(['required', 'preferred', 'discouraged'], {
        description: 'Whether the key asks for a PIN or a fingerprint. `required` refuses answers without.',
        'x-default': 'preferred',
      }),
    ),
    authenticatorAttachment: Type.Optional(
      Type.Enum(['platform', 'cross-platform'], {
        description: 'Only what is built into the device, or only what is carried along. Absent: any.',
      }),
    ),
  },
  { additionalProperties: false },
)
