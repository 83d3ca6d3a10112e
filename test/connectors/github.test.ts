import assert from 'node:assert/strict'
import { github } from '../../connectors/github.ts'
import { isOfDomain } from '../../connectors/lib/github/profile.ts'
import { compileSchema } from '../../src/lib/schema.ts'
import { type GitHubOptions, type GitHubStandIn, startGitHub } from '../upstreams/github.ts'
import { context } from './context.ts'
import { type Opened, openGitHub } from './github-login.ts'
import { depart, failsWith } from './oidc-login.ts'

describe('github connector', () => {
  let up: GitHubStandIn
  afterEach(() => up?.close())

  const start = async (config: Record<string, unknown> = {}, options: GitHubOptions = {}): Promise<Opened> => {
    up = await startGitHub(options)
    return openGitHub(up, config)
  }

  describe('configuration (GH-1)', () => {
    const validate = compileSchema(github.schema)
    const advice = (config: object) => github.advise?.(config) ?? []
    const usual = { clientID: 'a', clientSecret: 'b', redirectURI: 'c' }

    it('takes every key of Dex', () => {
      const config = {
        ...usual,
        org: 'acme',
        orgs: [{ name: 'acme', teams: ['core'] }, { name: 'other' }],
        hostName: 'git.example.com',
        rootCA: '/etc/ca.pem',
        teamNameField: 'slug',
        loadAllGroups: true,
        useLoginAsID: false,
        preferredEmailDomain: '*.example.com',
      }
      assert.deepEqual(validate(config), [])
    })

    it('starts without any, and says what is missing', () => {
      assert.deepEqual(validate({}), [])
      assert.deepEqual(
        advice({}).map(({ path, severity }) => [path, severity]),
        [
          ['/clientID', undefined],
          ['/clientSecret', undefined],
          ['/redirectURI', undefined],
        ],
      )
    })

    it('names a wrong word with the valid ones (PL-1)', () => {
      assert.match(validate({ teamNameField: 'slugs' })[0]?.message ?? '', /"name", "slug", "both"/)
      assert.deepEqual(validate({ organisations: [] })[0]?.path, '/organisations')
    })

    const faults: [string, object, RegExp][] = [
      [
        'org beside orgs',
        { org: 'a', orgs: [{ name: 'b' }] },
        /cannot use both 'org' and 'orgs' fields simultaneously/,
      ],
      ['a path in hostName', { hostName: 'git.example.com/x' }, /hostname cannot contain `\/`/],
      ['credentials in hostName', { hostName: 'github.com@evil.example' }, /no host name/],
      ['rootCA without hostName', { rootCA: 'x' }, /Host name field required for a root certificate/],
      ['a domain that ends with *', { preferredEmailDomain: 'example.*' }, /cannot end with "\*"/],
    ]
    for (const [name, config, message] of faults) {
      it(`does not open with ${name}`, async () => {
        const [first] = advice({ ...usual, ...config }).filter(({ severity }) => severity === 'error')
        assert.match(first?.message ?? '', message)
        await failsWith(
          'misconfigured',
          Promise.resolve().then(() => github.open(config, context())),
          message,
        )
      })
    }

    it('does not open with a certificate authority that cannot be read', async () => {
      const config = { ...usual, hostName: 'git.example.com', rootCA: '/nowhere.pem' }
      await failsWith(
        'misconfigured',
        Promise.resolve().then(() => github.open(config, context())),
        /rootCA\[0\]/,
      )
    })

    it('warns of logins as ids, of the legacy org, and of an entry without a name', () => {
      const found = advice({ ...usual, useLoginAsID: true, org: 'acme' }).map(({ path }) => path)
      assert.deepEqual(found, ['/org', '/useLoginAsID'])
      assert.equal(advice({ ...usual, orgs: [{ teams: ['x'] }] })[0]?.path, '/orgs/0/name')
    })
  })

  describe('login', () => {
    it('tells number, name, login and the primary verified address (GH-5, PL-4)', async () => {
      const { logIn } = await start()
      const { connectorData, ...identity } = await logIn({ scopes: { groups: false } })
      assert.deepEqual(identity, {
        userId: '583231',
        username: 'Octo Cat',
        preferredUsername: 'octo',
        email: 'octo@example.com',
        emailVerified: true,
      })
      assert.deepEqual(up.calls, ['POST /login/oauth/access_token', 'GET /user', 'GET /user/emails'])
    })

    it('shows the login of somebody without a name (GH-5)', async () => {
      const { logIn } = await start()
      up.account.person.name = null
      assert.equal((await logIn()).username, 'octo')
    })

    it('takes a public address without asking for the others', async () => {
      const { logIn } = await start()
      up.account.person.email = 'public@example.com'
      assert.equal((await logIn()).email, 'public@example.com')
      assert.ok(!up.calls.includes('GET /user/emails'))
    })

    it('prefers a verified address of the preferred domain, also to a public one', async () => {
      const { logIn } = await start({ preferredEmailDomain: 'corp.example' })
      up.account.person.email = 'public@example.com'
      assert.equal((await logIn()).email, 'spare@corp.example')
    })

    it('refuses somebody whose addresses are not verified, and says what to do', async () => {
      const { logIn } = await start()
      for (const email of up.account.person.emails) email.verified = false
      await failsWith('login_refused', logIn(), /no verified, primary email/)
    })

    it('takes the login for the id only by option (PL-4)', async () => {
      const { logIn } = await start({ useLoginAsID: true })
      assert.equal((await logIn()).userId, 'octo')
    })

    it('asks for read:org only where groups are needed', async () => {
      const { connector } = await start()
      const scope = async (groups: boolean) =>
        (await depart(connector, { scopes: { groups } })).url.searchParams.get('scope')
      assert.equal(await scope(false), 'user:email')
      assert.equal(await scope(true), 'user:email read:org')
      const { connector: restricted } = await openGitHub(up, { orgs: [{ name: 'acme' }] })
      assert.equal(
        (await depart(restricted, { scopes: { groups: false } })).url.searchParams.get('scope'),
        'user:email read:org',
      )
    })

    it('passes on whom the client expects, and the wish to choose an account', async () => {
      const { connector } = await start()
      const { url } = await depart(connector, { wishes: { loginHint: 'octo', prompt: 'login select_account' } })
      assert.equal(url.searchParams.get('login'), 'octo')
      assert.equal(url.searchParams.get('prompt'), 'select_account')
    })

    it('stops a login that GitHub would send elsewhere', async () => {
      const { connector } = await start({ redirectURI: 'https://login.example.com/callback' })
      await failsWith(
        'misconfigured',
        depart(connector),
        /must return to "https:\/\/login\.example\.com\/dex\/callback"/,
      )
    })
  })

  describe('PKCE (GH-3)', () => {
    it('binds the code to the login by S256', async () => {
      const { connector, logIn } = await start()
      const { url } = await depart(connector)
      assert.match(url.searchParams.get('code_challenge') ?? '', /^[\w-]{43}$/)
      assert.equal(url.searchParams.get('code_challenge_method'), 'S256')
      await logIn()
      assert.ok(up.tokenRequest()?.form.has('code_verifier'))
    })

    it('can be turned off', async () => {
      const { connector, logIn } = await start({ pkce: false })
      assert.ok(!(await depart(connector)).url.searchParams.has('code_challenge'))
      assert.equal((await logIn()).userId, '583231')
    })

    it('does no harm at a server that does not know it', async () => {
      const { logIn } = await start({}, { ignoresPkce: true })
      assert.equal((await logIn()).userId, '583231')
    })

    it('refuses the code of another login', async () => {
      const { logIn } = await start()
      await failsWith(
        'upstream_invalid_response',
        logIn({ memo: () => ({ verifier: 'x'.repeat(43) }) }),
        /bad_verification_code/,
      )
      await failsWith('login_refused', logIn({ memo: () => undefined }))
    })

    it('refuses the state of another login', async () => {
      const { logIn } = await start()
      await failsWith('upstream_invalid_response', logIn({ bring: (params) => params.set('state', 'x'.repeat(43)) }))
    })
  })

  it('keeps to labels of a domain, whatever an address looks like', () => {
    assert.ok(isOfDomain('a@CORP.example', 'corp.example'))
    assert.ok(isOfDomain('a@eu.corp.example', '*.corp.example'))
    for (const email of [
      'a@evil.example@corp.example',
      'a@exploitcorp.example',
      'a@x.corp.example',
      'corp.example',
      'a@',
    ]) {
      assert.ok(!isOfDomain(email, 'corp.example'), email)
    }
  })
})
