/** Attributes of one record; an attribute that is `undefined` is left out. */
export type Attributes = Record<string, unknown>

/**
 * The one logger, given downwards. Messages are constant texts, what varies is an attribute.
 * Secrets, codes, tokens, passwords and assertions are never attributes.
 */
export interface Logger {
  debug(message: string, attributes?: Attributes): void
  info(message: string, attributes?: Attributes): void
  warn(message: string, attributes?: Attributes): void
  error(message: string, attributes?: Attributes): void
  /** A logger whose records all carry `attributes`. */
  child(attributes: Attributes): Logger
}
