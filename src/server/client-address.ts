/** Whose address a request comes from, behind proxies that the operator trusts (`web.clientRemoteIP`). */
import ipaddr from 'ipaddr.js'

export interface ClientAddressOptions {
  /** Such as `X-Forwarded-For`. */
  header: string
  /** Networks (`10.0.0.0/8`) or single addresses. */
  trustedProxies: string[]
}

export interface ClientAddress {
  /** In its shortest form, an IPv4 address in IPv6 clothes as IPv4; empty where the socket had none. */
  address: string
  /** The header decided. */
  trusted: boolean
  /**
   * Says something about one caller, so that limits may count it. A private address without the option
   * is most likely an ingress that everybody comes through: counting it would lock everybody out.
   */
  countable: boolean
}

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Network = [Address, number]

/** Lets a port, brackets and a zone pass: proxies write `192.0.2.1:5000` and `[2001:db8::1]:5000`. */
const parseAddress = (text: string): Address | undefined => {
  const trimmed = text.trim()
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(trimmed) ?? []
  const [, beforePort] = /^([\d.]+):\d+$/.exec(trimmed) ?? []
  const bare = (bracketed ?? beforePort ?? trimmed).replace(/%.*$/, '')
  // The library also reads octal, hexadecimal and shortened IPv4, which no proxy writes and filters read otherwise.
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return ipaddr.IPv4.parse(bare)
  return bare.includes(':') && ipaddr.IPv6.isValid(bare) ? ipaddr.process(bare) : undefined
}

const parseNetwork = (text: string): Network => {
  try {
    if (text.includes('/')) {
      const [address, bits] = ipaddr.parseCIDR(text)
      if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
        return [address.toIPv4Address(), bits - 96]
      }
      return [address, bits]
    }
    const address = parseAddress(text)
    if (address !== undefined) return [address, address.kind() === 'ipv4' ? 32 : 128]
  } catch {
    // Said below, in one sentence for all.
  }
  throw new Error(`web.clientRemoteIP.trustedProxies: "${text}" is no network such as 10.0.0.0/8`)
}

const contains = ([network, bits]: Network, address: Address): boolean =>
  network.kind() === address.kind() && address.match(network, bits)

/** Whether a peer is one of the operator's proxies. @throws Error if a trusted network is none */
export const proxyTest = (trustedProxies: readonly string[]): ((peer: string | undefined) => boolean) => {
  const networks = trustedProxies.map(parseNetwork)
  return (peer) => {
    const address = peer === undefined ? undefined : parseAddress(peer)
    return address !== undefined && networks.some((network) => contains(network, address))
  }
}

const textOf = (address: Address): string => address.toString()

type Headers = Record<string, string | string[] | undefined>

/**
 * Reads client addresses. The header counts only if the peer is a trusted proxy; its chain is walked from the right,
 * and the first address that is no trusted proxy is the client's: what stands further left anybody could have written.
 * `headers` by lower-case name, as Node gives them.
 * @throws Error if a trusted network is none
 */
export const clientAddress = (
  options?: ClientAddressOptions,
): ((peer: string | undefined, headers: Headers) => ClientAddress) => {
  const networks = options?.trustedProxies.map(parseNetwork) ?? []
  const header = options?.header.toLowerCase() ?? ''
  // The header without proxies is ignored, as the warning at the start says.
  const configured = header !== '' && networks.length > 0
  const isProxy = (address: Address): boolean => networks.some((network) => contains(network, address))

  const fromChain = (headers: Headers): Address | undefined => {
    const value = headers[header]
    if (value === undefined) return undefined
    const chain = (Array.isArray(value) ? value.join(',') : value).split(',')
    for (const entry of chain.reverse()) {
      const address = parseAddress(entry)
      // What a trusted proxy passed on as unreadable says nothing of what stands left of it.
      if (address === undefined) return undefined
      if (!isProxy(address)) return address
    }
    return undefined
  }

  return (peer, headers) => {
    const socket = peer === undefined ? undefined : parseAddress(peer)
    if (socket === undefined) return { address: peer ?? '', trusted: false, countable: false }
    const forwarded = configured && isProxy(socket) ? fromChain(headers) : undefined
    const address = forwarded ?? socket
    // A trusted proxy that named nobody: its own address, which stands for everybody behind it.
    const countable = configured ? forwarded !== undefined || !isProxy(socket) : address.range() === 'unicast'
    return { address: textOf(address), trusted: forwarded !== undefined, countable }
  }
}
