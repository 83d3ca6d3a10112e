/** Which proxy a call goes through, as Go's net/http reads the environment, since deployments were written for that. */
import { BlockList, isIP } from 'node:net'

export type Environment = Readonly<Record<string, string | undefined>>

const defaultPorts: Record<string, string> = { 'http:': '80', 'https:': '443' }

const read = (env: Environment, name: string): string => env[name] || env[name.toLowerCase()] || ''

const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** `proxy:3128` means `http://proxy:3128`. */
const proxyAddress = (name: string, value: string): string | undefined => {
  if (value === '') return undefined
  const address = value.includes('://') ? value : `http://${value}`
  if (!URL.canParse(address)) throw new Error(`environment variable ${name} holds no address of a proxy`)
  return address
}

/** One entry of NO_PROXY: `*`, an address, a network, `host` with all below it, `.host` with only what is below; a port narrows it. */
const exemption = (entry: string): ((host: string, port: string) => boolean) => {
  if (entry === '*') return () => true
  const [network = '', bits] = entry.split('/')
  if (isIP(network) !== 0 && /^\d{1,3}$/.test(bits ?? '')) {
    const list = new BlockList()
    try {
      list.addSubnet(network, Number(bits), family(network))
    } catch {
      return () => false
    }
    return (host) => isIP(host) !== 0 && list.check(host, family(host))
  }
  const [, name = entry, port] = (isIP(entry) === 0 && /^(.*):(\d+)$/.exec(entry)) || []
  const bare = name.replace(/^\[(.*)\]$/, '$1').replace(/^\*\./, '.')
  const suffix = bare.startsWith('.') ? bare : `.${bare}`
  return (host, callPort) =>
    (port === undefined || port === callPort) &&
    (host === bare || (isIP(bare) === 0 && isIP(host) === 0 && host.endsWith(suffix)))
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

/**
 * Reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY (either case) once. Calls to this machine never go through a proxy.
 * @throws Error if a variable holds no address
 */
export const proxyFor = (env: Environment): ((url: URL) => string | undefined) => {
  const proxies: Record<string, string | undefined> = {
    'http:': proxyAddress('HTTP_PROXY', read(env, 'HTTP_PROXY')),
    'https:': proxyAddress('HTTPS_PROXY', read(env, 'HTTPS_PROXY')),
  }
  if (proxies['http:'] === undefined && proxies['https:'] === undefined) return () => undefined
  const exempt = read(env, 'NO_PROXY')
    .toLowerCase()
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .map(exemption)
  return (url) => {
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    if (isLoopback(host)) return undefined
    const port = url.port || defaultPorts[url.protocol] || ''
    return exempt.some((matches) => matches(host, port)) ? undefined : proxies[url.protocol]
  }
}
