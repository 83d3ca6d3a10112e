/** Keys of how the server listens, looks, measures and logs. */
import { Type } from 'typebox'
import { listOf, text } from './annotate.ts'
import { clientCertificates } from './client-auth.ts'
import { corsKeys } from './shapes.ts'

const TLS_VERSIONS = ['1.2', '1.3']
const tlsVersion = (description: string, shown?: string) =>
  Type.Enum(TLS_VERSIONS, { description, ...(shown && { 'x-default': shown }) })

/** The only response headers that Dex lets an operator set. */
export const HEADERS = [
  'Content-Security-Policy',
  'X-Frame-Options',
  'X-Content-Type-Options',
  'X-XSS-Protection',
  'Strict-Transport-Security',
]

export const web = Type.Object(
  {
    http: Type.Optional(
      text(
        'Address and port for plain HTTP, such as `0.0.0.0:5556`. One of `http` and `https` is needed, both may be set.',
      ),
    ),
    https: Type.Optional(text('Address and port for HTTPS.')),
    tlsCert: Type.Optional(text('PEM file of the certificate chain; needed with `https`, read again when it changes.')),
    tlsKey: Type.Optional(text('PEM file of the private key; needed with `https`, read again when it changes.')),
    tlsMinVersion: Type.Optional(tlsVersion('Oldest TLS version that is accepted, in quotes.', '1.2')),
    tlsMaxVersion: Type.Optional(tlsVersion('Newest TLS version that is offered, in quotes.', 'the newest there is')),
    headers: Type.Optional(
      Type.Object(
        Object.fromEntries(
          HEADERS.map((name) => [name, Type.Optional(text(`Value of the header \`${name}\` in every answer.`))]),
        ),
        { description: 'Response headers of your own.' },
      ),
    ),
    allowedOrigins: Type.Optional(
      listOf('Origins whose scripts may read our answers (CORS); `*` for any. Empty: none.'),
    ),
    allowedHeaders: Type.Optional(
      listOf('Request headers that those scripts may send.', { 'x-default': '`["Authorization"]`' }),
    ),
    ...corsKeys,
    clientRemoteIP: Type.Optional(
      Type.Object(
        {
          header: Type.Optional(
            text('Header in which your proxies hand on the address of the browser, such as `X-Forwarded-For`.'),
          ),
          trustedProxies: Type.Optional(listOf('Networks (CIDR) of the proxies that are believed.')),
        },
        {
          description: 'Whose word on the address of a browser is taken. Without it no forwarded address is believed.',
        },
      ),
    ),
    clientCertificates: Type.Optional(clientCertificates),
  },
  { description: 'Where the server listens.' },
)

export const frontend = Type.Object(
  {
    dir: Type.Optional(
      text('Folder with `static/`, `themes/` and `robots.txt` of your own. Templates of Dex in it are not used.', {
        'x-default': '`$DEX_FRONTEND_DIR`',
      }),
    ),
    theme: Type.Optional(
      text('`light`, `dark`, `auto` (as the browser asks), or a folder in `themes/`.', { 'x-default': 'auto' }),
    ),
    issuer: Type.Optional(text('Name shown in titles and headings.', { 'x-default': 'Countersign' })),
    logoURL: Type.Optional(text('Absolute address of a logo, or a path below the issuer such as `theme/logo.png`.')),
    extra: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Texts of your own for the pages.' }),
    ),
  },
  { description: 'How the pages look.' },
)

export const telemetry = Type.Object(
  {
    http: Type.Optional(text('Address and port for `/healthz` and `/metrics`, such as `0.0.0.0:5558`. Absent: none.')),
    enableProfiling: Type.Optional(Type.Boolean({ default: false, description: 'Offer profiles on the same port.' })),
  },
  { description: 'Health and metrics.' },
)

export const grpc = Type.Object(
  {
    addr: Type.Optional(text('Address and port of the gRPC API. It is checked, but nothing listens there yet.')),
    tlsCert: Type.Optional(text('PEM file of the certificate chain.')),
    tlsKey: Type.Optional(text('PEM file of the private key.')),
    tlsClientCA: Type.Optional(text('PEM file of the authority whose client certificates are required.')),
    tlsMinVersion: Type.Optional(tlsVersion('Oldest TLS version that is accepted, in quotes.', '1.2')),
    tlsMaxVersion: Type.Optional(tlsVersion('Newest TLS version that is offered, in quotes.', 'the newest there is')),
    reflection: Type.Optional(Type.Boolean({ default: false, description: 'Offer server reflection.' })),
  },
  { description: 'The gRPC API.' },
)

export const logger = Type.Object(
  {
    level: Type.Optional(
      text('`debug`, `info`, `warn` or `error` in any case, also with an offset such as `info+2`.', {
        'x-default': 'info',
      }),
    ),
    format: Type.Optional(text('`text` or `json`, in any case.', { 'x-default': 'text' })),
    excludeFields: Type.Optional(listOf('Attributes that are left out of every record, such as `email`.')),
  },
  { description: 'What is logged, to standard error.' },
)

export const storage = Type.Object(
  {
    type: text('Which store; see [Stores](#stores).', { minLength: 1 }),
    config: Type.Optional(
      Type.Unknown({ description: 'Settings of that store. `$NAME` and `${NAME}` are taken from the environment.' }),
    ),
  },
  { description: 'Where state is kept. Absent: lowdb in `./countersign.db.json` below the current folder.' },
)
