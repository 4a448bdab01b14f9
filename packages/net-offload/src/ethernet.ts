import { be16, ETHERNET, ETHERTYPE, VLAN_TAG } from './wire.js';

/** VLAN tags that are looked behind. */
export const MAX_TAGS = 2;

export function isTag(type: number): boolean {
  return type === ETHERTYPE.VLAN || type === ETHERTYPE.SERVICE_VLAN;
}

/** True when an EtherType announces IP and the header at `at` has the same version. */
export function isIp(u8: Uint8Array, base: number, type: number, at: number, limit: number): boolean {
  if (at >= limit) return false;
  const version = u8[base + at]! >>> 4;
  return (type === ETHERTYPE.IPV4 && version === 4) || (type === ETHERTYPE.IPV6 && version === 6);
}

/**
 * Where the IP header is behind an Ethernet header inside a tunnel.
 * @param base  where the outer frame's first byte is in `u8`
 * @param at    offset of the inner Ethernet header in the outer frame
 * @param limit offset behind the last byte that may be read
 * @returns an offset in the outer frame, -1 when there is no IP
 */
export function innerIpAt(u8: Uint8Array, base: number, at: number, limit: number): number {
  let typeAt = at + ETHERNET.type;
  for (let tags = 0; typeAt + 2 <= limit; tags++) {
    const type = be16(u8, base + typeAt);
    if (tags === MAX_TAGS || !isTag(type)) return isIp(u8, base, type, typeAt + 2, limit) ? typeAt + 2 : -1;
    typeAt += VLAN_TAG.SIZE;
  }
  return -1;
}
