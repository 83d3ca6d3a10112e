/**
 * An OpenID provider that says yes to everybody and keeps nothing: what it must remember travels in its codes. It runs in a
 * process of its own, so that its work is not counted. Prints its issuer.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', use: 'sig', alg: 'RS256' }
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const header = encode({ alg: 'RS256', kid: 'bench' })

function idToken(issuer: string, sub: string, nonce: string | undefined): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuer,
    aud: 'countersign',
    sub,
    iat: now,
    exp: now + 3600,
    ...(nonce === undefined ? {} : { nonce }),
    name: 'Ada Lovelace',
    email: 'ada@example.com',
    email_verified: true,
    groups: ['admin', 'staff'],
  }
  const input = `${header}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`
}

const server = createServer(async (request, response) => {
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const url = new URL(request.url ?? '/', issuer)
  const answer = (body: unknown) => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  }
  switch (url.pathname) {
    case '/.well-known/openid-configuration':
      return answer({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/keys`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
        code_challenge_methods_supported: ['S256'],
        scopes_supported: ['openid', 'profile', 'email', 'groups', 'offline_access'],
      })
    case '/keys':
      return answer({ keys: [jwk] })
    case '/authorize': {
      const back = new URL(url.searchParams.get('redirect_uri') ?? '')
      const memo = {
        n: url.searchParams.get('nonce'),
        c: url.searchParams.get('code_challenge'),
        s: randomBytes(9).toString('hex'),
      }
      back.searchParams.set('code', encode(memo))
      back.searchParams.set('state', url.searchParams.get('state') ?? '')
      return response.writeHead(302, { Location: back.href }).end()
    }
    case '/token': {
      const form = new URLSearchParams(await text(request))
      const isRefresh = form.get('grant_type') === 'refresh_token'
      const memo = isRefresh
        ? { s: form.get('refresh_token'), n: null, c: null }
        : JSON.parse(Buffer.from(form.get('code') ?? '', 'base64url').toString())
      if (
        memo.c &&
        createHash('sha256')
          .update(form.get('code_verifier') ?? '')
          .digest('base64url') !== memo.c
      ) {
        return response.writeHead(400).end('{"error":"invalid_grant"}')
      }
      return answer({
        access_token: 'upstream-access-token',
        token_type: 'Bearer',
        expires_in: 3600,
        refresh_token: memo.s,
        id_token: idToken(issuer, memo.s, memo.n ?? undefined),
      })
    }
    default:
      return response.writeHead(404).end()
  }
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
