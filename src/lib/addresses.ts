/** Which addresses lie in the public internet. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

const handedOut = ipaddr.parseCIDR('2000::/3')

/**
 * Whether an address is one of the public internet, or in one of `allowed` (networks such as `10.0.0.0/8`). Loopback,
 * private, link-local, multicast, reserved ones and those that carry another address inside are not; nor is what is no address.
 */
export function isPublicAddress(text: string, allowed: readonly string[] = []): boolean {
  if (isIP(text) === 0) return false
  // An IPv4 address in IPv6 clothes is judged as what it is.
  const address = ipaddr.process(text)
  // Of IPv6 only what is handed out to networks (RFC 4291, 2.4); below lie forms that carry IPv4 addresses.
  const global = address.kind() === 'ipv4' || address.match(handedOut)
  if (global && address.range() === 'unicast') return true
  return allowed.some((network) => {
    const [base, bits] = ipaddr.parseCIDR(network)
    return base.kind() === address.kind() && address.match(base, bits)
  })
}
