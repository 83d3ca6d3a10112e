/**
 * What an auditor asks for afterwards: who got in, who was turned away, what was handed out and taken back.
 * Its own vocabulary beside the log, written whatever the level. Never a token, code, secret or password.
 */
import type { Attributes } from '../lib/logger.ts'

/** Who signed in, and through which connector. Names are as the connector gave them. */
export interface AuditedPerson {
  connector_id: string
  user_id: string
  username?: string
  preferred_username?: string
  email?: string
}

interface AuditedClient {
  client_id: string
}

export type AuditEvent =
  | ({ type: 'login_succeeded'; groups?: string[] } & AuditedPerson & Partial<AuditedClient>)
  /** The upstream or a rule of ours said no; `reason` is a failure code, `user` the name that was typed. */
  | ({ type: 'login_refused'; connector_id: string; reason: string; user?: string } & Partial<AuditedClient>)
  /** Something broke before anybody could say yes or no. */
  | ({ type: 'login_failed'; connector_id: string; reason: string; user?: string } & Partial<AuditedClient>)
  /** Second factors, by the id of the authenticator; `reason` of a refusal such as `wrong_code` or `counter_regression`. */
  | ({ type: 'factor_accepted'; authenticator: string; amr: string[] } & AuditedPerson & AuditedClient)
  | ({ type: 'factor_enrolled'; authenticator: string } & AuditedPerson & AuditedClient)
  /** By an operator, on the command line. */
  | ({ type: 'factors_reset'; authenticators: string[] } & AuditedPerson)
  | ({ type: 'factor_refused'; authenticator: string; reason: string } & AuditedPerson & AuditedClient)
  | ({ type: 'tokens_issued'; grant_type: string; scopes: string[]; sub?: string } & AuditedClient &
      Partial<AuditedPerson>)
  | ({ type: 'tokens_refreshed'; scopes: string[]; sub?: string } & AuditedClient & Partial<AuditedPerson>)
  | ({ type: 'refresh_refused'; reason: string; sub?: string } & AuditedClient & Partial<AuditedPerson>)
  /** `by`: who asked for it. */
  | ({
      type: 'token_revoked'
      by: 'client' | 'person' | 'upstream' | 'reuse' | 'limit' | 'operator'
      sub?: string
    } & AuditedClient)
  | ({ type: 'device_approved' } & AuditedClient & AuditedPerson)
  | ({ type: 'device_refused'; reason: string } & AuditedClient & Partial<AuditedPerson>)
  | ({ type: 'approval_given'; scopes: string[] } & AuditedClient & AuditedPerson)
  | ({ type: 'approval_refused'; scopes: string[] } & AuditedClient & AuditedPerson)
  | ({ type: 'client_refused'; reason: string } & AuditedClient)
  /** A client registered itself, or changed or ended its registration (RFC 7591, RFC 7592). */
  | ({ type: 'client_registered' | 'client_changed' | 'client_removed'; name: string } & AuditedClient)
  /** `what` was limited, such as `password` or `user_code`; `key` by which count. */
  | { type: 'rate_limited'; what: string; key: 'name' | 'address' | 'total'; connector_id?: string; user?: string }
  | ({ type: 'session_ended'; by: string; sub: string; sid: string } & AuditedPerson)
  | { type: 'keys_rotated'; key_id: string; reason: string; next_rotation?: string }
  | { type: 'configuration_loaded'; file: string; connectors: string[]; clients: number }
  | { type: 'started'; version: string }
  | { type: 'stopped'; reason: string }

/** Writes one event: `msg=audit type=…` and its fields, with the request's attributes. */
export type Audit = (event: AuditEvent) => void

/** The part of the log that no level silences. */
export interface AuditDestination {
  audit(message: string, attributes: Attributes): void
}

/** Binds the vocabulary to a log. */
export const openAudit =
  (log: AuditDestination): Audit =>
  (event) =>
    log.audit('audit', { ...event })
