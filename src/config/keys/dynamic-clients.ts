/** Keys of clients that do not stand in the file. All of them are our own. */
import { Type } from 'typebox'
import { duration, listOf, text } from './annotate.ts'

export const dynamicClients = Type.Object(
  {
    registration: Type.Optional(
      Type.Object(
        {
          initialAccessTokens: Type.Optional(
            listOf('Tokens of at least 16 letters; an application has to present one of them to register.'),
          ),
          initialAccessTokenFromEnv: Type.Optional(text('Environment variable that holds one more.')),
          open: Type.Optional(
            Type.Boolean({ default: false, description: 'Anybody may register an application, without a token.' }),
          ),
          maxClients: Type.Optional(
            Type.Integer({ default: 1000, minimum: 1, description: 'How many may be registered at a time.' }),
          ),
          unusedFor: Type.Optional(
            duration('A registration that brings no token for so long ends; `0` for never.', '2160h'),
          ),
        },
        { description: 'Applications register themselves at `/register` (RFC 7591, RFC 7592).' },
      ),
    ),
    documents: Type.Optional(
      Type.Object(
        {
          origins: listOf('Origins where such documents may lie, such as `https://app.example.com`; `*` for any.'),
        },
        {
          description:
            'The id of an application may be the address of a document that describes it (client id metadata documents).',
        },
      ),
    ),
    allowedScopes: Type.Optional(
      listOf('Scopes that these applications may ask for.', { 'x-default': 'all listed scopes' }),
    ),
    allowedConnectors: Type.Optional(listOf('Connector ids that they may use; empty: all.')),
    privateNetworks: Type.Optional(
      listOf(
        'Networks (CIDR) that the addresses of their keys and documents may lie in although they are private. Without it only addresses of the public internet are fetched.',
      ),
    ),
  },
  { description: 'Applications that do not stand in this file. Without the block there are none.', 'x-own': true },
)
