/** Which addresses lie in the public internet. */
import ipaddr from 'ipaddr.js'

/**
 * Whether an address is one of the public internet, or in one of `allowed` (networks such as `10.0.0.0/8`). Loopback,
 * private, link-local, multicast, reserved ones and those that carry another address inside are not; nor is what is no address.
 */
export function isPublicAddress(text: string, allowed: readonly string[] = []): boolean {
  if (!ipaddr.isValid(text)) return false
  // An IPv4 address in IPv6 clothes is judged as what it is.
  const address = ipaddr.process(text)
  if (address.range() === 'unicast') return true
  return allowed.some((network) => {
    const [base, bits] = ipaddr.parseCIDR(network)
    return base.kind() === address.kind() && address.match(base, bits)
  })
}
