import type { HostMemory } from '@ringwire/guest-memory';
import { finishIpv4 } from './segment-headers.js';
import type { SegmentPlan } from './segment-plan.js';
import { IPPROTO, IPV4, IPV4_FRAGMENT, IPV6, IPV6_FRAGMENT, putBe16, putBe32 } from './wire.js';

/** RFC 791 §3.1: option types without a length, and the bit of those that every fragment carries. */
const OPTION = { END: 0, NO_OPERATION: 1, COPIED: 0x80 } as const;

/**
 * Make a fragment's headers out of a copy of the datagram's.
 * @param at    host offset of the copy, `plan.headerBytes` long, with room for 8 more bytes
 * @param index of the fragment, 0 … plan.count - 1
 * @param bytes of its payload
 * @param identification of the datagram, for IPv6; IPv4 has its own
 * @returns bytes of the headers
 */
export function writeFragmentHeaders(
  memory: HostMemory,
  at: number,
  plan: SegmentPlan,
  index: number,
  bytes: number,
  identification: number,
): number {
  const { u8 } = memory;
  const { ip } = plan;
  const offset = index * plan.size;
  const more = index < plan.count - 1;
  if (ip.version === 4) {
    const header = at + ip.at;
    if (index > 0) blankOptions(u8, header + IPV4.SIZE, at + ip.payload);
    putBe16(u8, header + IPV4.total_length, ip.payload - ip.at + bytes);
    putBe16(u8, header + IPV4.flags_offset, (offset >>> 3) | (more ? IPV4_FRAGMENT.MORE : 0));
    finishIpv4(memory, header, ip.payload - ip.at);
    return plan.headerBytes;
  }
  const fragment = at + ip.fragmentAt;
  u8[fragment + IPV6_FRAGMENT.next_header] = u8[at + ip.fragmentNameAt]!;
  u8[fragment + 1] = 0;
  u8[at + ip.fragmentNameAt] = IPPROTO.FRAGMENT;
  putBe16(u8, fragment + IPV6_FRAGMENT.offset_more, offset | (more ? IPV6_FRAGMENT.MORE : 0));
  putBe32(u8, fragment + IPV6_FRAGMENT.identification, identification);
  const headerBytes = plan.headerBytes + IPV6_FRAGMENT.SIZE;
  putBe16(u8, at + ip.at + IPV6.payload_length, headerBytes - ip.at - IPV6.SIZE + bytes);
  return headerBytes;
}

/** Options that only the first fragment carries become No-Operation in the others, so that the header keeps its size. */
function blankOptions(u8: Uint8Array, from: number, end: number): void {
  let option = from;
  while (option < end && u8[option] !== OPTION.END) {
    const type = u8[option]!;
    const length = type === OPTION.NO_OPERATION || option + 1 === end ? 1 : u8[option + 1]!;
    if (length < 1) return;
    const next = Math.min(option + length, end);
    if ((type & OPTION.COPIED) === 0) u8.fill(OPTION.NO_OPERATION, option, next);
    option = next;
  }
}
