/** The kinds of records, their secondary indexes and whether they must survive a restart. */
export interface Kind {
  indexes: readonly string[]
  /** Volatile records may live in memory: whatever exists before a person has signed in, and replay marks. */
  durability: 'durable' | 'volatile'
}

export const kinds = {
  /** Authorization codes, by their hash. */
  code: { indexes: ['grant'], durability: 'durable' },
  /** A refresh token and its successors, by an id that stays. */
  'refresh-family': { indexes: ['grant', 'person', 'client', 'session', 'checked'], durability: 'durable' },
  /** Device authorization requests that nobody has approved yet, by the hash of the device code. */
  'device-request': { indexes: ['userCode'], durability: 'volatile' },
  /** Device grants that a person approved or refused, by the hash of the device code. */
  'device-grant': { indexes: ['grant'], durability: 'durable' },
  /** What outlives logins of a person at a connector, such as upstream tokens that the upstream counts. */
  person: { indexes: [], durability: 'durable' },
  /** Single sign-on sessions, by the id that clients know as `sid`. */
  session: { indexes: ['person', 'upstream'], durability: 'durable' },
  /** Clients that have to be told of the end of a session. */
  'logout-notice': { indexes: [], durability: 'durable' },
  /** Connector data of a login that several refresh tokens share. */
  'login-data': { indexes: [], durability: 'durable' },
  /** What a person has approved, by connector, person and client. */
  consent: { indexes: ['person'], durability: 'durable' },
  /** Second factors of a person at a connector, sealed. */
  factors: { indexes: [], durability: 'durable' },
  /** Signing keys. */
  keys: { indexes: [], durability: 'durable' },
  /** Clients that registered themselves, by their id; `token` is the hash of what they are managed with. */
  client: { indexes: ['token'], durability: 'durable' },
  /** Access tokens that were revoked before they expired, by the hash of their `jti`. */
  revoked: { indexes: [], durability: 'durable' },
  /** Logins in progress that do not fit into a cookie. */
  login: { indexes: [], durability: 'volatile' },
  /** Authorization requests that clients pushed and nobody has come for yet, by the hash of their id. */
  'pushed-request': { indexes: [], durability: 'volatile' },
  /** What was used once and must not be used again. */
  replay: { indexes: [], durability: 'volatile' },
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof kinds
