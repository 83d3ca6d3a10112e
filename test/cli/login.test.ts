import assert from 'node:assert/strict'
import { type LoginCommand, login } from '../../src/cli/login.ts'
import { type FakeOptions, type FakeProvider, fakeProvider } from './fake-provider.ts'

/** Runs the command against `provider` with a browser that follows the redirects. */
async function run(provider: FakeProvider, more: Partial<LoginCommand> = {}, env: Record<string, string> = {}) {
  let out = ''
  let err = ''
  const pages: Promise<string>[] = []
  const code = await login(
    { issuer: provider.issuer, clientId: 'cli', ...more },
    {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
      env,
      open: (url) => pages.push(fetch(url).then((answer) => answer.text())),
    },
  )
  return { code, out, err, page: (await Promise.all(pages)).join() }
}

describe('countersign login', () => {
  let provider: FakeProvider
  const arrange = async (options: FakeOptions = {}) => {
    provider = await fakeProvider(options)
    return provider
  }
  afterEach(() => provider[Symbol.asyncDispose]())

  it('logs in with PKCE, state and nonce on a loopback port and prints the claims alone on standard output', async () => {
    const { code, out, page } = await run(await arrange())
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(out).groups, ['admin'])
    assert.match(page, /You are logged in/)
    const [request] = provider.asked.authorize
    assert.match(request!.get('redirect_uri')!, /^http:\/\/127\.0\.0\.1:\d+\/callback$/)
    assert.equal(request!.get('code_challenge_method'), 'S256')
    assert.ok(request!.get('nonce'))
    assert.equal(request!.get('scope'), 'openid email profile groups')
  })

  it('prints the address and opens no browser when told so', async () => {
    await arrange()
    let err = ''
    const opened: string[] = []
    const done = login(
      { issuer: provider.issuer, clientId: 'cli', browser: false },
      {
        out: () => undefined,
        err: (text) => {
          err += text
          const url = /http:\S+\/auth\?\S+/.exec(text)?.[0]
          if (url) void fetch(url).then((answer) => answer.text())
        },
        env: {},
        open: (url) => opened.push(url),
      },
    )
    assert.equal(await done, 0)
    assert.deepEqual(opened, [])
    assert.match(err, /Log in with your browser at/)
  })

  it('says what the provider refused, at the terminal and in the browser', async () => {
    const { code, out, err, page } = await run(await arrange({ refuse: 'access_denied' }))
    assert.equal(code, 1)
    assert.equal(out, '')
    assert.match(err, /refused the login: access_denied/)
    assert.match(page, /did not succeed.*access_denied/)
  })

  it('says what the token endpoint refused', async () => {
    const { code, err } = await run(await arrange({ refuseToken: 'invalid_client' }))
    assert.equal(code, 1)
    assert.match(err, /refused the request: invalid_client \(as planned\)/)
  })

  it('takes no ID token with a foreign nonce', async () => {
    const { code, out } = await run(await arrange({ claims: { nonce: 'another' } }))
    assert.equal(code, 1)
    assert.equal(out, '')
  })

  it('takes no ID token for another client', async () => {
    const { code, out } = await run(await arrange({ claims: { aud: 'another' } }))
    assert.equal(code, 1)
    assert.equal(out, '')
  })

  it('waits on when a request comes that is not the login that was started', async () => {
    await arrange()
    let answered = 0
    const code = await login(
      { issuer: provider.issuer, clientId: 'cli' },
      {
        out: () => undefined,
        err: () => undefined,
        env: {},
        open: async (url) => {
          const callback = new URL(new URL(url).searchParams.get('redirect_uri')!)
          answered = (await fetch(`${callback}?code=stolen&state=guessed`)).status
          await fetch(url)
        },
      },
    )
    assert.equal(answered, 400)
    assert.equal(code, 0)
  })

  it('authenticates with the secret of the named variable', async () => {
    const { code } = await run(await arrange(), { clientSecretEnv: 'SECRET' }, { SECRET: 'hidden' })
    assert.equal(code, 0)
    assert.equal(provider.asked.token[0]!.has('client_id'), false)
  })

  it('names the variable that is not set', async () => {
    const { code, err } = await run(await arrange(), { clientSecretEnv: 'SECRET' })
    assert.equal(code, 1)
    assert.match(err, /SECRET .*is not set/)
  })

  it('logs in by device, asking until it is approved', async () => {
    const { code, out, err } = await run(
      await arrange({ device: ['authorization_pending', 'authorization_pending'] }),
      {
        device: true,
      },
    )
    assert.equal(code, 0)
    assert.equal(JSON.parse(out).sub, 'person')
    assert.match(err, /ABCD-EFGH/)
    assert.equal(provider.asked.token.length, 3)
  })

  it('says that a device login was refused', async () => {
    const { code, err } = await run(await arrange({ device: ['access_denied'] }), { device: true })
    assert.equal(code, 1)
    assert.match(err, /was refused/)
  })

  it('says that a provider has no device login', async () => {
    const { err } = await run(await arrange(), { device: true })
    assert.match(err, /no device login/)
  })

  it('says that a provider cannot be reached', async () => {
    await (await arrange())[Symbol.asyncDispose]()
    const { code, err } = await run(provider)
    assert.equal(code, 1)
    assert.match(err, /127\.0\.0\.1:\d+ cannot be reached/)
  })

  it('says that the discovery document names another issuer', async () => {
    const { code, err } = await run(await arrange({ namedIssuer: 'https://id.example.com' }))
    assert.equal(code, 1)
    assert.match(err, /names another issuer/)
  })

  it('says what an issuer looks like', async () => {
    await arrange()
    assert.match((await run(provider, { issuer: 'id.example.com' })).err, /must be an address such as https:/)
  })

  it('ends when it is broken off', async () => {
    await arrange()
    const controller = new AbortController()
    let err = ''
    const code = await login(
      { issuer: provider.issuer, clientId: 'cli' },
      {
        out: () => undefined,
        err: (text) => {
          err += text
        },
        env: {},
        open: () => controller.abort(),
        signal: controller.signal,
      },
    )
    assert.equal(code, 1)
    assert.match(err, /broken off/)
  })
})
