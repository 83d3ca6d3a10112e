/**
 * Which other origins may read an answer (Fetch standard, 3.2), decided as Dex decides:
 * nothing without configured origins, methods GET, HEAD and POST.
 *
 * Beyond Dex, origins that are listed by name may be let read answers to requests with credentials (Fetch standard, 3.2.6),
 * which some libraries send always. They gain nothing by it: these routes look at no cookie (middleware/cors.ts takes it
 * away), so whoever calls them has only what is in the request itself. With `*` nobody may.
 */
export interface CorsOptions {
  /** Origins to the letter, or `*`; empty: no CORS at all. */
  origins: string[]
  /** Request headers that a page may send beside the harmless ones. */
  headers: string[]
  /** Whether origins that are listed by name may send credentials. */
  credentials?: boolean
}

export interface CorsRequest {
  method: string
  origin?: string | undefined
  /** `Access-Control-Request-Method` */
  requestMethod?: string | undefined
  /** `Access-Control-Request-Headers` */
  requestHeaders?: string | undefined
}

export interface CorsDecision {
  /** The whole answer to a preflight request; absent: serve the request. */
  preflight?: { status: number; headers: Record<string, string> }
  /** Headers to add to the answer of a request that is served. */
  headers: Record<string, string>
}

const methods = new Set(['GET', 'HEAD', 'POST'])
/** What a page may send without asking; a form's Content-Type is among it (Fetch standard, 2.2.2). */
const harmless = ['accept', 'accept-language', 'content-language', 'origin']
/** A proof of possession (RFC 9449, 4.1), which says nothing of who is logged in. */
const proof = 'dpop'
/** What a page that proves something has to read of an answer (RFC 9449, 8). */
export const proofAnswers = 'DPoP-Nonce, WWW-Authenticate'

/** The rule of one configuration, for the routes that other origins may call. */
export const cors = ({
  origins,
  headers: configured,
  credentials: withCredentials,
}: CorsOptions): ((request: CorsRequest) => CorsDecision) => {
  if (origins.length === 0) return () => ({ headers: {} })
  const allowed = new Set(origins)
  const everybody = allowed.has('*')
  const known = new Set([...harmless, proof, ...configured.map((name) => name.toLowerCase())])
  // A shared cache must not give one origin the answer made for another.
  const vary: Record<string, string> = everybody ? {} : { Vary: 'Origin' }

  const credentials: Record<string, string> =
    everybody || !withCredentials ? {} : { 'Access-Control-Allow-Credentials': 'true' }

  const preflight = (origin: string, request: CorsRequest): CorsDecision['preflight'] => {
    if (!request.requestMethod) return { status: 400, headers: vary }
    if (!methods.has(request.requestMethod)) return { status: 405, headers: vary }
    const asked = (request.requestHeaders ?? '')
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== '')
    if (asked.some((name) => !known.has(name))) return { status: 403, headers: vary }
    const extra = asked.filter((name) => !harmless.includes(name))
    return {
      status: 200,
      headers: {
        ...vary,
        'Access-Control-Allow-Origin': origin,
        ...credentials,
        ...(extra.length > 0 && { 'Access-Control-Allow-Headers': extra.join(',') }),
      },
    }
  }

  return (request) => {
    const { origin } = request
    const options = request.method === 'OPTIONS'
    // `null` is what sandboxed frames and local files call themselves: nobody in particular.
    const mayRead = origin !== undefined && (everybody || (origin !== 'null' && allowed.has(origin)))
    if (!mayRead) return options ? { preflight: { status: 200, headers: vary }, headers: {} } : { headers: vary }
    const answered = everybody ? '*' : origin
    if (options) return { preflight: preflight(answered, request)!, headers: {} }
    return { headers: { ...vary, 'Access-Control-Allow-Origin': answered, ...credentials } }
  }
}
