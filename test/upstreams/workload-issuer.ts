/**
 * An issuer of workload tokens on a free port of loopback: a discovery document, a key set, and tokens as GitHub Actions,
 * GitLab CI and Kubernetes describe theirs in their documentation. A test can bend its answers and its tokens.
 */
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import type { Pair } from '../server/certificate.ts'

export interface WorkloadKey {
  kid: string
  alg: string
  privateKey: CryptoKey
  publicJwk: JWK
}

export interface WorkloadIssuer {
  issuer: string
  jwksURI: string
  /** Paths that were asked for, in order. */
  asked: string[]
  /** What is published; a test may change it. */
  published: unknown[]
  /** Instead of the answer of a path: a status, with a body or without. */
  answers: Map<string, { status: number; body?: string }>
  key: WorkloadKey
  /** Signs with `key`; members of the header over the usual ones, where `undefined` leaves one out. */
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>, key?: WorkloadKey): Promise<string>
  [Symbol.asyncDispose](): Promise<void>
}

export async function workloadKey(kid: string, alg = 'RS256'): Promise<WorkloadKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg } }
}

/** @param tls serves https with this certificate */
export async function startWorkloadIssuer({ tls, alg }: { tls?: Pair; alg?: string } = {}): Promise<WorkloadIssuer> {
  const key = await workloadKey('key-1', alg)
  const asked: string[] = []
  const answers: WorkloadIssuer['answers'] = new Map()
  const listener: RequestListener = (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer: self.issuer, jwks_uri: self.jwksURI },
      '/.well-known/jwks': { keys: self.published },
    }
    const { status, body = '' } = answers.get(path) ?? {
      status: documents[path] ? 200 : 404,
      body: JSON.stringify(documents[path] ?? {}),
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  }
  const server = tls ? createSecureServer(tls, listener) : createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const self: WorkloadIssuer = {
    issuer,
    jwksURI: `${issuer}/.well-known/jwks`,
    asked,
    published: [key.publicJwk],
    answers,
    key,
    sign(claims, header = {}, by = self.key) {
      const whole = { typ: 'JWT', alg: by.alg, kid: by.kid, ...header }
      return new SignJWT(claims)
        .setProtectedHeader(JSON.parse(JSON.stringify(whole)) as { alg: string })
        .sign(by.privateKey)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return self
}

const seconds = (): number => Math.floor(Date.now() / 1000)

/** A job of GitHub Actions that runs for a push to `main`. */
export const githubJob = (issuer: string, aud: string): Record<string, unknown> => ({
  jti: crypto.randomUUID(),
  sub: 'repo:octo-org/octo-repo:ref:refs/heads/main',
  aud,
  ref: 'refs/heads/main',
  sha: 'c040cae0f0dc81641728557b80f09cfa23b83fe5',
  repository: 'octo-org/octo-repo',
  repository_id: '74',
  repository_owner: 'octo-org',
  repository_owner_id: '65',
  repository_visibility: 'private',
  actor: 'octocat',
  actor_id: '12',
  workflow: 'deploy',
  workflow_ref: 'octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main',
  job_workflow_ref: 'octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main',
  event_name: 'push',
  ref_type: 'branch',
  ref_protected: 'true',
  environment: 'production',
  runner_environment: 'github-hosted',
  run_id: '22259804324',
  run_number: '42',
  run_attempt: '1',
  iss: issuer,
  nbf: seconds() - 300,
  exp: seconds() + 300,
  iat: seconds(),
})

/** A job of GitLab CI with `id_tokens`. */
export const gitlabJob = (issuer: string, aud: string): Record<string, unknown> => ({
  namespace_id: '72',
  namespace_path: 'my-group',
  project_id: '20',
  project_path: 'my-group/my-project',
  user_id: '1',
  user_login: 'sample-user',
  user_email: 'sample-user@example.com',
  pipeline_id: '574',
  pipeline_source: 'push',
  job_id: '302',
  ref: 'main',
  ref_type: 'branch',
  ref_path: 'refs/heads/main',
  ref_protected: 'true',
  groups_direct: ['my-group', 'other-group'],
  runner_id: 1,
  runner_environment: 'self-hosted',
  sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
  project_visibility: 'public',
  ci_config_ref_uri: 'gitlab.example.com/my-group/my-project//.gitlab-ci.yml@refs/heads/main',
  jti: crypto.randomUUID(),
  iat: seconds(),
  nbf: seconds() - 5,
  exp: seconds() + 3600,
  iss: issuer,
  sub: 'project_path:my-group/my-project:ref_type:branch:ref:main',
  aud,
})

/** A projected token of a Kubernetes service account. */
export const kubernetesPod = (issuer: string, aud: string): Record<string, unknown> => ({
  aud: [aud],
  exp: seconds() + 3607,
  iat: seconds(),
  nbf: seconds(),
  iss: issuer,
  jti: crypto.randomUUID(),
  'kubernetes.io': {
    namespace: 'payments',
    node: { name: 'worker-1', uid: '517eb86e-b863-451b-bf70-86cb61439a3a' },
    pod: { name: 'api-7d9', uid: '0d8b260e-ef0e-45fb-be8e-ff44f97722e8' },
    serviceaccount: { name: 'api', uid: 'e6a8680e-d103-4cce-80ea-03acbbeacf7d' },
    warnafter: seconds() + 3607,
  },
  sub: 'system:serviceaccount:payments:api',
})
