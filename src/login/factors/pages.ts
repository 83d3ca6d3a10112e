/** What the pages of second factors show. */

export interface TotpPage {
  /** Where the form is posted: `totp`. */
  action: string
  clientName?: string
  /** Present as long as the person has confirmed nothing. */
  enrolment?: {
    /** base32 */
    secret: string
    /** `otpauth://…`, for an application on the same device. */
    address: string
    /** A `data:` address of a picture. */
    qr: string
  }
  /** Why the code that was sent is not taken. */
  message?: string
}

export interface WebAuthnPage {
  /** Where options come from and where the answer goes to, both as JSON. */
  begin: string
  finish: string
  /** `further`: one more key, which is not asked for. */
  mode: 'login' | 'register' | 'further'
  /** Where the login goes on. */
  onwards: string
  /** Leads to the page for one more key. */
  furtherUrl?: string
  clientName?: string
}
