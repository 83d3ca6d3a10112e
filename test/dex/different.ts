/**
 * Recorded steps on which Countersign answers otherwise than the record wants, on purpose. Such an answer must still be
 * different, else its entry is stale and fails the test; there may be ten at most.
 */
export interface Different {
  /** A scenario file's name without its ending. */
  theme: string
  scenario: string
  step: string
  /** The clause that the answer follows, as `RFC 6749, 5.2: …` or `OpenID Connect Core, 3.1.2.1: …`. */
  why: string
}

export const different: readonly Different[] = [
  {
    theme: 'implicit',
    scenario: 'hybrid',
    step: 'code id_token token',
    why: 'RFC 6749, 4.2.2: expires_in tells how long an access token lives, also beside a code',
  },
]
