/** Which IP addresses belong to the public internet, in whatever form they are written. */
import { BlockList, isIP } from 'node:net'

/** IANA's special-purpose registries (RFC 6890 and its successors), multicast and what is reserved. */
const NOT_PUBLIC_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const

/** Inside 2000::/3: protocol assignments with Teredo, documentation, 6to4. */
const NOT_PUBLIC_IPV6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

const notPublic = new BlockList()
for (const [net, prefix] of NOT_PUBLIC_IPV4) notPublic.addSubnet(net, prefix, 'ipv4')
for (const [net, prefix] of NOT_PUBLIC_IPV6) notPublic.addSubnet(net, prefix, 'ipv6')
const global = new BlockList()
global.addSubnet('2000::', 3, 'ipv6')
/** Addresses of either stand for the IPv4 address in their last 32 bits (RFC 4291, 2.5.5.2; RFC 6052). */
const standingForIpv4 = new BlockList()
standingForIpv4.addSubnet('64:ff9b::', 96, 'ipv6')
const MAPPED = /^::ffff:(?=[\da-f]{1,4}:[\da-f]{1,4}$)/

/** @param address as `isIP` knows it; what is no address is not public */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !notPublic.check(address, 'ipv4')
  // A zone belongs to a link.
  if (isIP(address) !== 6 || address.includes('%')) return false
  const { hostname } = new URL(`http://[${address}]`)
  const canonical = hostname.slice(1, -1)
  if (MAPPED.test(canonical) || standingForIpv4.check(canonical, 'ipv6')) {
    return !notPublic.check(lastFourBytes(canonical), 'ipv4')
  }
  return global.check(canonical, 'ipv6') && !notPublic.check(canonical, 'ipv6')
}

/**
 * Whether this host of a parsed URL, which has brackets about an IPv6 address, is known not to be public before any
 * name is looked up.
 */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) !== 0) return !isPublicAddress(host)
  return /(?:^|\.)localhost\.?$/i.test(host)
}

/** Of an IPv6 address in canonical form, as an IPv4 address. */
function lastFourBytes(canonical: string): string {
  const [low = '0', high = '0'] = canonical
    .split(':')
    .reverse()
    .map((group) => group || '0')
  const bits = (Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16)) >>> 0
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
}
