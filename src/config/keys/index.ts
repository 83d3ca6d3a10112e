/** The whole vocabulary of a configuration file, as one schema: what is checked, offered by editors and documented. */
import { type Static, Type } from 'typebox'
import { text } from './annotate.ts'
import { dynamicClients } from './dynamic-clients.ts'
import { client, connector, password } from './entries.ts'
import { tokenIssuer } from './exchange.ts'
import { mfa } from './mfa.ts'
import { frontend, grpc, logger, storage, telemetry, web } from './server.ts'
import { sessions } from './sessions.ts'
import { layoutKeys } from './shapes.ts'
import { signer } from './signer.ts'
import { expiry, oauth2 } from './tokens.ts'

export const configuration = Type.Object({
  issuer: text(
    'Public address of this server, to the letter as clients write it; its path is the prefix of every route.',
    { minLength: 1 },
  ),
  ...layoutKeys,
  storage: Type.Optional(storage),
  web: Type.Optional(web),
  frontend: Type.Optional(frontend),
  telemetry: Type.Optional(telemetry),
  grpc: Type.Optional(grpc),
  logger: Type.Optional(logger),
  oauth2: Type.Optional(oauth2),
  expiry: Type.Optional(expiry),
  signer: Type.Optional(signer),
  connectors: Type.Optional(Type.Array(connector, { description: 'Upstreams that people log in with.' })),
  staticClients: Type.Optional(Type.Array(client, { description: 'Applications that may ask for tokens.' })),
  dynamicClients: Type.Optional(dynamicClients),
  tokenIssuers: Type.Optional(
    Type.Array(tokenIssuer, {
      description: 'CI systems and workloads whose tokens clients may exchange, by rules of each client.',
      'x-own': true,
    }),
  ),
  enablePasswordDB: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Adds the connector `local`, named `Email`, with the people of `staticPasswords`.',
    }),
  ),
  staticPasswords: Type.Optional(Type.Array(password, { description: 'People of the connector `local`.' })),
  sessions: Type.Optional(sessions),
  mfa: Type.Optional(mfa),
})

export type Configuration = Static<typeof configuration>
