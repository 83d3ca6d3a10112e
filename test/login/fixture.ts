/** Parts of a login for tests of this room: connectors that are plain objects, and what they are wired to. */
import type { BrowserConnector, Connector, Identity, PasswordConnector } from '../../connectors/contract.ts'
import type { ConnectorData } from '../../src/login/connector-data.ts'
import type { ConfiguredConnector, Connectors } from '../../src/login/connectors.ts'
import type { CookieJar, Stash } from '../../src/login/stash.ts'

export const jane: Identity = { userId: 'jane', email: 'jane@example.com', emailVerified: true, groups: ['staff'] }

export const browserConnector = (more: Partial<BrowserConnector> = {}): BrowserConnector => ({
  style: 'browser',
  start: async () => ({ via: 'redirect', url: new URL('https://idp.example/authorize') }),
  finish: async () => jane,
  ...more,
})

export const passwordConnector = (more: Partial<PasswordConnector> = {}): PasswordConnector => ({
  style: 'password',
  prompt: 'Name',
  login: async (_name, password) => (password === 'right' ? jane : undefined),
  ...more,
})

export const configured = (connector: Connector, id = 'corp'): ConfiguredConnector => ({
  id,
  name: id,
  type: 'test',
  open: async () => connector,
  opened: connector,
  allows: () => true,
})

export const connectorsOf = (...all: ConfiguredConnector[]): Connectors => ({
  all,
  get: (id) => all.find((each) => each.id === id),
  close: async () => {},
})

/** Seals nothing: what is kept is the text of it. */
export const openData: ConnectorData = {
  keep: async (_owner, data) => ({ sealedData: JSON.stringify(data) }),
  open: async (_owner, { sealedData }) => (sealedData === undefined ? undefined : JSON.parse(sealedData)),
  share: (_unit, login) => login,
  seal: (_owner, data) => JSON.stringify(data),
  unseal: (_owner, sealed) => JSON.parse(sealed),
}

export const stashOf = (more: Partial<Stash> = {}): Stash => ({
  state: 's'.repeat(43),
  connectorId: 'corp',
  clientId: 'web',
  scopes: ['openid', 'groups'],
  purpose: { kind: 'device', id: 'd' },
  expiresAt: 2_000_000_000,
  ...more,
})

/** A browser's cookies as the stash sees them: `answer` gives what the next request brings. */
export function openJar(header?: string): CookieJar & { lines: string[]; answer(): string } {
  const lines: string[] = []
  return {
    header,
    lines,
    append: (line) => void lines.push(line),
    answer() {
      const kept = new Map(
        (header ?? '').split('; ').flatMap((pair) => (pair ? [pair.split('=', 2) as [string, string]] : [])),
      )
      for (const line of lines) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        if (line.includes('Max-Age=0;')) kept.delete(name)
        else kept.set(name, value)
      }
      return [...kept].map(([name, value]) => `${name}=${value}`).join('; ')
    },
  }
}
