/** Signed request objects (RFC 9101) and signed answers (JARM) with openid-client 6. */
import assert from 'node:assert/strict'
import { SignJWT, UnsecuredJWT } from 'jose'
import * as oauth from 'openid-client'
import { openBrowser } from './browser.ts'
import { type Asked, addressOf, arriveAt, ask, clientKey, discover, redeem, toldAt } from './openid-client.ts'
import { answerAt, type FlowServer, startServer } from './server.ts'

describe('signed requests and signed answers', () => {
  let server: FlowServer
  let keys: Awaited<ReturnType<typeof clientKey>>
  let others: Awaited<ReturnType<typeof clientKey>>
  let client: oauth.Configuration
  before(async () => {
    keys = await clientKey()
    others = await clientKey()
    const entry = (id: string, more: object = {}) => ({
      id,
      name: id,
      secret: `${id}-secret`,
      redirectURIs: [addressOf(id)],
      ...more,
    })
    server = await startServer({
      staticClients: [
        entry('app', { jwks: keys.jwks }),
        entry('strict', { jwks: keys.jwks, requireSignedRequestObject: true }),
        entry('plain'),
        entry('peer', { trustedPeers: ['app'] }),
      ],
    })
    client = await discover(server, 'app')
  })
  after(() => server?.[Symbol.asyncDispose]())

  describe('a request object', () => {
    it('says what counts, whatever stands beside it', async () => {
      const scope = 'openid email audience:server:client_id:peer'
      const asked = await ask('app', { scope })
      const url = await oauth.buildAuthorizationUrlWithJAR(client, asked.params, keys.signing)
      url.searchParams.set('scope', 'openid')
      url.searchParams.set('redirect_uri', 'https://evil.example/')
      url.searchParams.set('code_challenge', 'x'.repeat(43))
      const tokens = await redeem(client, await arriveAt(url), asked)
      assert.deepEqual(tokens.claims()!.aud, ['peer', 'app'])
      assert.ok(tokens.claims()!.email)
    })

    it('may be pushed', async () => {
      const asked = await ask('app', { scope: 'openid federated:id' })
      const url = await oauth.buildAuthorizationUrlWithJAR(client, asked.params, keys.signing)
      const pushed = await oauth.buildAuthorizationUrlWithPAR(client, url.searchParams)
      const tokens = await redeem(client, await arriveAt(pushed), asked)
      assert.ok(tokens.claims()!.federated_claims)
    })

    it('is all that a client takes that has to sign, pushed or not', async () => {
      const strict = await discover(server, 'strict')
      const asked = await ask('strict')
      const told = await toldAt(oauth.buildAuthorizationUrl(strict, asked.params))
      assert.equal(told.error, 'invalid_request')
      assert.match(told.error_description!, /signed request object/)
      await assert.rejects(oauth.buildAuthorizationUrlWithPAR(strict, asked.params), { error: 'invalid_request' })
      const url = await oauth.buildAuthorizationUrlWithJAR(strict, asked.params, keys.signing)
      assert.equal((await redeem(strict, await arriveAt(url), asked)).claims()!.aud, 'strict')
    })

    it('is judged like any other request', async () => {
      for (const [more, error] of [
        [{ scope: 'openid nonsense' }, 'invalid_scope'],
        [{ response_type: 'token' }, 'unsupported_response_type'],
        [{ code_challenge_method: 'plain' }, 'invalid_request'],
        [{ prompt: 'none' }, 'login_required'],
        [{ prompt: 'none', max_age: '0' }, 'login_required'],
        [{ prompt: 'dance' }, 'invalid_request'],
      ] as [Record<string, string>, string][]) {
        const asked = await ask('app', more)
        const told = await toldAt(await oauth.buildAuthorizationUrlWithJAR(client, asked.params, keys.signing))
        assert.equal(told.error, error, JSON.stringify(more))
        assert.equal(told.state, asked.state)
      }
    })

    it('carries the claims that are asked for, pushed or not', async () => {
      const claims = JSON.stringify({ id_token: { name: { essential: true } } })
      const named = async (asked: Asked, url: URL) => (await redeem(client, await arriveAt(url), asked)).claims()!.name
      const signed = await ask('app', { scope: 'openid', claims })
      assert.ok(await named(signed, await oauth.buildAuthorizationUrlWithJAR(client, signed.params, keys.signing)))
      const pushed = await ask('app', { scope: 'openid', claims })
      assert.ok(await named(pushed, await oauth.buildAuthorizationUrlWithPAR(client, pushed.params)))
      for (const wrong of ['{', '[]', '{"id_token":1}']) {
        const { params } = await ask('app', { claims: wrong })
        await assert.rejects(oauth.buildAuthorizationUrlWithPAR(client, params), { error: 'invalid_request' })
      }
    })

    it('takes prompts as they are', async () => {
      for (const prompt of ['login', 'select_account']) {
        const asked = await ask('app', { prompt })
        await arriveAt(await oauth.buildAuthorizationUrlWithJAR(client, asked.params, keys.signing))
      }
      const asked = await ask('app', { prompt: 'consent' })
      const page = await openBrowser().follow(
        (await oauth.buildAuthorizationUrlWithJAR(client, asked.params, keys.signing)).href,
      )
      assert.match(page.text, /Grant access/)
    })

    it('is not for clients whose keys are not known', async () => {
      const plain = await discover(server, 'plain')
      const asked = await ask('plain')
      const url = await oauth.buildAuthorizationUrlWithJAR(plain, asked.params, keys.signing)
      for (const [name, value] of Object.entries(asked.params)) url.searchParams.set(name, value)
      const told = await toldAt(url)
      assert.equal(told.error, 'request_not_supported')
      const pushed = await server.post('/par', {
        client_id: 'plain',
        client_secret: 'plain-secret',
        request: url.searchParams.get('request')!,
      })
      assert.equal(pushed.status, 400)
      assert.equal(pushed.json().error, 'request_not_supported')
    })

    describe('changed in any way', () => {
      const now = () => Math.floor(Date.now() / 1000)
      interface Made {
        params?: Record<string, unknown>
        claims?: Record<string, unknown>
        signer?: 'others'
        none?: true
        text?: (jwt: string) => string
        address?: string
      }
      const mutations: Record<string, Made> = {
        'not signed': { none: true },
        'signed with another key': { signer: 'others' },
        'of another issuer': { claims: { iss: 'strict' } },
        'of no issuer': { claims: { iss: undefined } },
        'for another server': { claims: { aud: 'https://other.example' } },
        'for nobody': { claims: { aud: undefined } },
        'run out': { claims: { exp: now() - 60 } },
        'not good yet': { claims: { nbf: now() + 600 } },
        'with a request in it': { params: { request: 'x' } },
        'with a request_uri in it': { params: { request_uri: 'urn:ietf:params:oauth:request_uri:x' } },
        'with another client': { params: { client_id: 'strict' } },
        'with two redirect URIs': { params: { redirect_uri: [addressOf('app'), 'https://evil.example/'] } },
        'with two scopes': { params: { scope: ['openid', 'openid email'] } },
        'with a signature that was cut': { text: (jwt) => jwt.slice(0, -2) },
        'with another payload': {
          text: (jwt) => jwt.replace(/\.[^.]+\./, `.${Buffer.from('{"iss":"app"}').toString('base64url')}.`),
        },
        'with alg none in its header': {
          text: (jwt) => jwt.replace(/^[^.]+/, Buffer.from('{"alg":"none"}').toString('base64url')),
        },
        'in five parts': { text: (jwt) => `${jwt}.x.y` },
        'no JWT at all': { text: () => 'request' },
        'sent twice': { address: 'request' },
        'beside a request_uri': { address: 'request_uri' },
      }

      async function make({ params = {}, claims = {}, signer, none, text = (jwt) => jwt }: Made): Promise<string> {
        const asked = await ask('app')
        const payload = {
          ...asked.params,
          client_id: 'app',
          response_type: 'code',
          iss: 'app',
          aud: server.issuer,
          exp: now() + 60,
          ...params,
          ...claims,
        }
        if (none) return new UnsecuredJWT(payload).encode()
        const { privateKey } = signer ? others : keys
        return text(await new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'key' }).sign(privateKey))
      }

      const urlOf = (request: string, { address }: Made = {}) => {
        const query = new URLSearchParams({
          client_id: 'app',
          redirect_uri: addressOf('app'),
          state: 'outside',
          request,
        })
        if (address === 'request') query.append('request', request)
        if (address === 'request_uri') query.append('request_uri', 'urn:ietf:params:oauth:request_uri:x')
        return server.url(`/auth?${query}`)
      }

      it('is good as it is', async () => {
        await arriveAt(urlOf(await make({})))
      })

      for (const [title, mutation] of Object.entries(mutations)) {
        it(`is refused: ${title}`, async () => {
          const browser = openBrowser()
          const answer = await browser.follow(urlOf(await make(mutation), mutation))
          assert.ok(!answer.location?.includes('code='), answer.location)
          assert.equal(browser.asked.length, 1, 'nobody was sent to log in')
          assert.equal(answer.headers.getSetCookie().length, 0)
          if (answer.location === undefined) {
            assert.equal(answer.status, 400)
            return
          }
          assert.ok(answer.location.startsWith(addressOf('app')))
          assert.match(answerAt(answer).error!, /^(invalid_request|invalid_request_object|request_not_supported)$/)
        })

        if (mutation.address) continue
        it(`is refused when it is pushed: ${title}`, async () => {
          const commits = server.commits.length
          const form = { client_id: 'app', client_secret: 'app-secret', request: await make(mutation) }
          const answer = await server.post('/par', form)
          assert.equal(answer.status, 400)
          assert.match(String(answer.json().error), /^(invalid_request|invalid_request_object)$/)
          assert.equal(server.commits.length, commits)
        })
      }
    })
  })

  describe('an answer that is signed', () => {
    it('comes in the query, and is good for this client only', async () => {
      const signed = await discover(server, 'app')
      oauth.useJwtResponseMode(signed)
      const asked = await ask('app')
      const arrived = await arriveAt(oauth.buildAuthorizationUrl(signed, asked.params))
      assert.deepEqual([...arrived.searchParams.keys()], ['response'])
      assert.equal((await redeem(signed, arrived, asked)).claims()!.aud, 'app')
      const other = await discover(server, 'plain')
      oauth.useJwtResponseMode(other)
      await assert.rejects(redeem(other, arrived, asked), /unexpected JWT claim value/)
    })

    it('comes in the fragment or in a form where that is asked for', async () => {
      for (const [mode, place] of [
        ['query.jwt', 'query'],
        ['fragment.jwt', 'fragment'],
        ['form_post.jwt', 'form'],
      ] as const) {
        const asked = await ask('app', { response_mode: mode })
        const answer = await openBrowser().follow(oauth.buildAuthorizationUrl(client, asked.params).href)
        const { response, ...others } = answerAt(answer)
        assert.deepEqual(others, {}, mode)
        assert.equal(answer.location?.includes('#') ?? 'form', place === 'form' ? 'form' : place === 'fragment')
        const claims = JSON.parse(Buffer.from(response!.split('.')[1]!, 'base64url').toString()) as Record<
          string,
          unknown
        >
        assert.deepEqual(Object.keys(claims).sort(), ['aud', 'code', 'exp', 'iss', 'state'])
        assert.equal(claims.aud, 'app')
        assert.ok(Number(claims.exp) <= Date.now() / 1000 + 120)
      }
    })

    it('is signed when it is an error, too', async () => {
      const signed = await discover(server, 'app')
      oauth.useJwtResponseMode(signed)
      const asked = await ask('app', { scope: 'openid nonsense' })
      const arrived = await arriveAt(oauth.buildAuthorizationUrl(signed, asked.params))
      assert.deepEqual([...arrived.searchParams.keys()], ['response'])
      await assert.rejects(redeem(signed, arrived, asked), { error: 'invalid_scope' })
    })

    it('never has tokens in a query', async () => {
      await using hybrid = await startServer({
        oauth2: { skipApprovalScreen: true, responseTypes: ['code', 'token', 'id_token'] },
        staticClients: [
          { id: 'app', name: 'app', secret: 'app-secret', redirectURIs: [addressOf('app')] },
          { id: 'bound', name: 'bound', secret: 's', redirectURIs: [addressOf('bound')], dpop: 'required' },
        ],
      })
      for (const response_mode of ['jwt', 'query.jwt', 'fragment.jwt']) {
        const { params } = await ask('app', { response_mode, response_type: 'code id_token token' })
        const url = hybrid.url(`/auth?${new URLSearchParams({ client_id: 'app', ...params })}`)
        const { location } = await openBrowser().follow(url)
        assert.ok(location!.startsWith(`${addressOf('app')}#response=`), location)
        const [, payload] = new URLSearchParams(location!.split('#')[1]).get('response')!.split('.')
        const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString()) as Record<string, unknown>
        for (const name of ['code', 'id_token', 'access_token', 'state']) assert.ok(claims[name], name)
        assert.equal(claims.iss, hybrid.issuer)
      }
      const { params } = await ask('bound', { response_type: 'code token' })
      const url = hybrid.url(`/auth?${new URLSearchParams({ client_id: 'bound', ...params })}`)
      assert.equal((await openBrowser().follow(url)).location!.match(/error=(\w+)/)?.[1], 'unsupported_response_type')
    })

    it('is no token of ours', async () => {
      const asked = await ask('app', { response_mode: 'jwt' })
      const { response } = answerAt(await openBrowser().follow(oauth.buildAuthorizationUrl(client, asked.params).href))
      assert.equal((await server.userinfo(response!)).status, 401)
      const { active } = await server.introspect(response!, { id: 'app', secret: 'app-secret', redirectUri: '' })
      assert.equal(active, false)
    })
  })
})
