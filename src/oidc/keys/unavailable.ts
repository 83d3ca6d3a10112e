/** Tokens cannot be signed now, since the signer is outside and does not answer. */
import { errors } from 'oidc-provider'

/** For the client an OAuth error with which it may try again; `cause` is for the operator. */
export class SignerUnavailable extends errors.CustomOIDCProviderError {
  constructor(cause: unknown) {
    super('temporarily_unavailable', 'tokens cannot be signed at the moment; try again later')
    Object.assign(this, { status: 503, statusCode: 503, expose: true, cause })
  }
}
