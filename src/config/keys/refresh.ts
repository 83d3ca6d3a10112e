/** Keys of refresh tokens: how long they live, for everybody or for one client, and when the upstream is asked. */
import { Type } from 'typebox'
import { duration } from './annotate.ts'

const mostTokens = (shown: string, own: { 'x-own'?: true }) =>
  Type.Integer({
    minimum: 0,
    description:
      'Refresh tokens that a person has with one client at a time, one for each login; when there is one too many, the longest unused goes. `0`: any number.',
    'x-default': shown,
    ...own,
  })

const own = { 'x-own': true } as const

const lives = (shown?: string) => ({
  disableRotation: Type.Optional(
    Type.Boolean({
      description: 'Answer a refresh with the same refresh token.',
      'x-default': shown ?? 'false',
    }),
  ),
  reuseInterval: Type.Optional(
    duration(
      'How long a refresh token that was already used is answered once more, with the same successor. Later than that it ends the login as stolen. `0`: not at all.',
      shown ?? '3s',
    ),
  ),
  absoluteLifetime: Type.Optional(duration('Life since the login.', shown ?? '0, for ever')),
  validIfNotUsedFor: Type.Optional(duration('Life since the last use.', shown ?? '0, for ever')),
})

export const refreshTokens = Type.Object(
  { ...lives(), maxPerUserAndClient: Type.Optional(mostTokens('0', own)) },
  { description: 'Refresh tokens.' },
)

const policy = {
  upstream: Type.Optional(
    Type.Union(
      [
        Type.String({ enum: ['always', 'never'] }),
        Type.Object({ maxAge: duration('How long its last answer is good.', 'required') }),
      ],
      {
        description:
          'When a refresh asks the upstream who the person is now: each time, when its last answer is older than `maxAge`, or never.',
        'x-type': '`always`, `never` or `{maxAge: duration}`',
      },
    ),
  ),
  onOutage: Type.Optional(
    Type.Union(
      [
        Type.String({ enum: ['deny'] }),
        Type.Object({ staleFor: duration('How long, since its last answer, that one is used.', 'required') }),
      ],
      {
        description:
          'What follows when it does not answer: no tokens until it does, or for so long since its last answer what it said then. A refusal is no outage and ends the login.',
        'x-type': '`deny` or `{staleFor: duration}`',
      },
    ),
  ),
}

/** `connectors[].refresh` */
export const connectorRefresh = Type.Object(policy, {
  description:
    'When a refresh asks this upstream, see [Refresh](refresh.md). `{upstream: always, onOutage: deny}` unless said otherwise.',
  ...own,
})

/** `staticClients[].refresh` */
export const clientRefresh = Type.Object(
  { ...policy, maxPerUserAndClient: Type.Optional(mostTokens('as `expiry.refreshTokens` says', {})) },
  { description: 'Over what the connector says, member by member, see [Refresh](refresh.md).', ...own },
)

const asServer = 'as `expiry` says'

/** `staticClients[].expiry` */
export const clientExpiry = Type.Object(
  {
    idTokens: Type.Optional(duration('Life of ID tokens, and of access tokens unless these have their own.', asServer)),
    accessTokens: Type.Optional(duration('Life of access tokens.', 'as `idTokens`')),
    refreshTokens: Type.Optional(Type.Object(lives(asServer), { description: 'Refresh tokens.' })),
  },
  { description: 'Lifetimes of the tokens of this client, over those of `expiry`.', ...own },
)
