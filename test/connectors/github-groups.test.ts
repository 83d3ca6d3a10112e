import assert from 'node:assert/strict'
import { type GitHubOptions, type GitHubStandIn, startGitHub } from '../upstreams/github.ts'
import { failureOf, type Opened, openGitHub } from './github-login.ts'
import { failsWith } from './oidc-login.ts'

describe('github connector, organisations and teams', () => {
  let up: GitHubStandIn
  afterEach(() => up.close())

  const start = async (config: Record<string, unknown> = {}, options: GitHubOptions = {}): Promise<Opened> => {
    up = await startGitHub(options)
    return openGitHub(up, config)
  }
  const acme = { orgs: [{ name: 'acme' }] }
  const membership = 'GET /orgs/acme/members/octo'

  describe('groups (GH-1)', () => {
    const cases: [string, object, string[]][] = [
      ['org:team by name', acme, ['acme:Core Team', 'acme:ops']],
      ['org:team by slug', { ...acme, teamNameField: 'slug' }, ['acme:core-team', 'acme:ops']],
      [
        'org:team by both, each once',
        { ...acme, teamNameField: 'both' },
        ['acme:Core Team', 'acme:core-team', 'acme:ops'],
      ],
      ['only the teams that are required', { orgs: [{ name: 'acme', teams: ['ops', 'x'] }] }, ['acme:ops']],
      [
        'organisations and teams with loadAllGroups',
        { loadAllGroups: true },
        ['acme', 'acme:Core Team', 'acme:ops', 'other'],
      ],
      ['bare names with the legacy org', { org: 'acme' }, ['Core Team', 'ops']],
      ['nothing of the legacy org to a stranger, who may log in', { org: 'nowhere' }, []],
      ['none without any option', {}, []],
      ['none to a member without teams', { orgs: [{ name: 'other' }] }, []],
      [
        'the organisation as it is configured, whatever its case',
        { orgs: [{ name: 'ACME', teams: ['ops'] }] },
        ['ACME:ops'],
      ],
    ]
    for (const [name, config, groups] of cases) {
      it(`tells ${name}`, async () => {
        const { logIn } = await start({ ...config })
        assert.deepEqual((await logIn()).groups, groups)
      })
    }

    it('asks for teams once, however many organisations there are', async () => {
      const { logIn } = await start({ orgs: [{ name: 'acme' }, { name: 'other' }, { name: 'nowhere' }] })
      await logIn()
      assert.equal(up.calls.filter((call) => call === 'GET /user/teams').length, 1)
    })

    it('asks for no organisations when nobody wants to know', async () => {
      const { logIn } = await start({ loadAllGroups: true })
      assert.equal((await logIn({ scopes: { groups: false } })).groups, undefined)
      assert.ok(!up.calls.some((call) => /org|team/.test(call)))
    })

    it('reads all pages of more than a hundred teams and organisations (GH-4)', async () => {
      const { logIn } = await start({ loadAllGroups: true })
      const teams = Array.from({ length: 201 }, (_, i) => ({ name: `t${i}`, slug: `t${i}` }))
      up.account.organisations = Object.fromEntries(
        Array.from({ length: 101 }, (_, i) => [
          `org${i}`,
          { membership: 'member' as const, teams: i === 0 ? teams : [] },
        ]),
      )
      const { groups } = await logIn()
      assert.equal(groups?.length, 101 + 201)
      assert.ok(groups.includes('org0:t200') && groups.includes('org100'))
      assert.equal(up.calls.filter((call) => call === 'GET /user/teams').length, 3)
    })

    it('shows the new name of a team only where groups are named by it (GH-11)', async () => {
      const byName = await start(acme)
      const { logIn: bySlug } = await openGitHub(up, { ...acme, teamNameField: 'slug' })
      up.account.organisations.acme!.teams = [{ name: 'Platform', slug: 'ops' }]
      assert.deepEqual((await byName.logIn()).groups, ['acme:Platform'])
      assert.deepEqual((await bySlug()).groups, ['acme:ops'])
    })

    it('asks for names as they are written, never as a path', async () => {
      const { logIn } = await start({ orgs: [{ name: '../user/emails?' }, { name: 'acme' }] })
      await logIn()
      assert.ok(up.calls.includes('GET /orgs/..%2Fuser%2Femails%3F/members/octo'))
    })
  })

  describe('restriction', () => {
    it('asks also when the client wants no groups', async () => {
      const { logIn } = await start({ orgs: [{ name: 'nowhere' }] })
      await failsWith(
        'not_in_required_groups',
        logIn({ scopes: { groups: false } }),
        /user "octo" not in required orgs or teams/,
      )
    })

    it('keeps out members who are in none of the teams', async () => {
      const { logIn } = await start({ orgs: [{ name: 'acme', teams: ['admins'] }] })
      await failsWith('not_in_required_groups', logIn(), /acme: in none of the teams/)
    })

    it('keeps out everybody where the only entry has no name', async () => {
      const { logIn } = await start({ orgs: [{ teams: ['ops'] }] })
      await failsWith('not_in_required_groups', logIn())
    })

    it('lets in by one organisation though another one cannot be asked', async () => {
      const { logIn } = await start({ orgs: [{ name: 'broken' }, { name: 'acme' }] })
      up.disturb('/orgs/broken', { status: 502 })
      assert.deepEqual((await logIn()).groups, ['acme:Core Team', 'acme:ops'])
    })

    it('does not take an outage for a refusal', async () => {
      const { logIn } = await start({ orgs: [{ name: 'broken' }, { name: 'nowhere' }] })
      up.disturb('/orgs/broken', { status: 502 })
      await failsWith('upstream_unavailable', logIn())
    })

    it('does not take a limit for a refusal', async () => {
      const { logIn } = await start({ orgs: [{ name: 'other' }] })
      up.disturb('/orgs/other', { status: 429, body: { message: 'slow down' }, headers: { 'retry-after': '7' } })
      assert.equal((await failureOf(logIn())).details.retryAfter, 7)
    })

    it('believes a team though the membership cannot be asked', async () => {
      const { logIn } = await start({ orgs: [{ name: 'acme', teams: ['ops'] }] })
      up.disturb('/orgs/acme', { status: 502 })
      assert.deepEqual((await logIn()).groups, ['acme:ops'])
    })

    it('lets in who is publicly a member, as far as the application may see', async () => {
      const { logIn } = await start(acme)
      up.account.organisations.acme = { membership: 'public', teams: [], unapproved: true }
      assert.deepEqual((await logIn()).groups, [])
    })
  })

  describe('reasons, told apart', () => {
    const told = async (opened: Opened) => {
      const { code, message, details } = await failureOf(opened.logIn())
      return { code, message, safe: details.safe ?? '', link: details.link?.href }
    }

    it('no member: nothing more is known', async () => {
      const { code, safe } = await told(await start({ orgs: [{ name: 'nowhere' }] }))
      assert.deepEqual([code, safe], ['not_in_required_groups', ''])
    })

    it('single sign-on is wanted: a link to it (GH-7)', async () => {
      const opened = await start(acme)
      up.account.organisations.acme!.wantsSignOn = true
      const { code, safe, link } = await told(opened)
      assert.equal(code, 'not_in_required_groups')
      assert.match(safe, /acme wants single sign-on/)
      assert.equal(link, 'https://github.com/orgs/acme/sso?authorization_request=AAAA')
    })

    it('single sign-on with a link to somewhere else: no link (GH-7)', async () => {
      const opened = await start(acme)
      const headers = { 'x-github-sso': 'required; url=https://evil.example/sso' }
      up.disturb('/orgs/acme', { status: 403, body: { message: 'SAML' }, headers })
      assert.equal((await told(opened)).link, undefined)
    })

    it('the organisation has not approved this application: where to ask for it', async () => {
      const opened = await start(acme)
      up.account.organisations.acme!.unapproved = true
      const { code, safe, link } = await told(opened)
      assert.equal(code, 'not_in_required_groups')
      assert.match(safe, /acme has not approved this application/)
      assert.equal(link, 'https://github.com/settings/connections/applications/Iv1.example')
    })

    it('the invitation is not accepted', async () => {
      const opened = await start(acme)
      up.account.organisations.acme!.membership = 'pending'
      assert.match((await told(opened)).safe, /invitation to the GitHub organisation acme is waiting/)
    })

    it('the GitHub App lacks a permission', async () => {
      const opened = await start(acme, { app: 'app' })
      up.disturb('/orgs/acme', { status: 403, body: { message: 'Resource not accessible by integration' } })
      assert.match((await told(opened)).message, /"Members: read"/)
    })

    for (const [name, config] of [
      ['orgs', acme],
      ['loadAllGroups', { loadAllGroups: true }],
      ['the legacy org', { org: 'acme' }],
    ] as const) {
      it(`read:org was not granted, with ${name} (GH-6)`, async () => {
        const { code, message, safe } = await told(await start(config, { grants: ['user:email'] }))
        assert.equal(code, 'groups_incomplete')
        assert.match(message, /^organisation access not granted/)
        assert.match(safe, /Organisation access was not granted/)
        assert.ok(up.calls.includes('GET /user'))
      })
    }

    it('an empty list without read:org is no list (GH-6)', async () => {
      const opened = await start({ loadAllGroups: true }, { grants: ['user:email'] })
      const headers = { 'x-oauth-scopes': 'user:email' }
      up.disturb('/user/orgs', { status: 200, body: [], headers })
      up.disturb('/user/teams', { status: 200, body: [], headers })
      assert.equal((await told(opened)).code, 'groups_incomplete')
    })

    it('what helps most is said, whichever organisation it is of', async () => {
      const opened = await start({ orgs: [{ name: 'nowhere' }, { name: 'acme' }, { name: 'other', teams: ['x'] }] })
      up.account.organisations.acme!.wantsSignOn = true
      const { message, safe } = await told(opened)
      assert.match(safe, /acme wants single sign-on/)
      assert.match(message, /nowhere: no member; acme: sso .*; other: in none of the teams/)
    })

    it('lists that leave out organisations are told to the operator', async () => {
      const { logIn, context } = await start({ loadAllGroups: true })
      up.account.organisations.acme!.wantsSignOn = true
      assert.deepEqual((await logIn()).groups, ['other'])
      assert.match(context.warnings[0] ?? '', /single sign-on/)
    })
  })

  it('asks one question for each organisation of a member', async () => {
    const { logIn } = await start(acme)
    await logIn()
    assert.deepEqual(up.calls.slice(1), ['GET /user', 'GET /user/emails', membership, 'GET /user/teams'])
  })
})
