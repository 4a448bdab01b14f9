import { isIp, isTag, MAX_TAGS } from './ethernet.js';
import type { FrameHeaders } from './frame-headers.js';
import { parseIp } from './parse-ip.js';
import { parseTunnel } from './parse-tunnel.js';
import { be16, ETHERNET, VLAN_TAG } from './wire.js';

/** Headers are looked for in this many first bytes of a frame, as network hardware does. */
export const HEADER_BYTES = 512;

/**
 * Find the headers of a frame: Ethernet, up to two VLAN tags, IPv4 or IPv6 with its extension headers, TCP or UDP, and
 * behind one tunnel header the same again. Whatever the bytes are, nothing is thrown, and what is cut or malformed just
 * isn't there.
 * @param u8    holds the frame's first bytes contiguously, at `at`
 * @param bytes how many of them there are; not one byte beyond is read
 * @param headers the result; its offsets count from the frame's start
 */
export function parseFrame(u8: Uint8Array, at: number, bytes: number, headers: FrameHeaders): void {
  headers.clear();
  if (bytes < ETHERNET.SIZE) return;
  headers.ethernet = true;
  let typeAt: number = ETHERNET.type;
  let type = be16(u8, at + typeAt);
  while (headers.vlanTags < MAX_TAGS && isTag(type)) {
    if (typeAt + VLAN_TAG.SIZE + 2 > bytes) return;
    if (headers.vlanTags === 0) headers.vlanTci = be16(u8, at + typeAt + VLAN_TAG.tci);
    headers.vlanTags++;
    typeAt += VLAN_TAG.SIZE;
    type = be16(u8, at + typeAt);
  }
  headers.etherType = type;
  if (!isIp(u8, at, type, typeAt + 2, bytes)) return;
  parseIp(u8, at, typeAt + 2, bytes, headers.ip);
  if (headers.ip.version !== 0) parseTunnel(u8, at, bytes, headers);
}
