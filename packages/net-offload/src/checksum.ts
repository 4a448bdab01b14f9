import type { HostMemory } from '@ringwire/guest-memory';
import type { Frame } from '@ringwire/net-backend';
import type { IpHeaders } from './frame-headers.js';
import { IPPROTO } from './wire.js';

/*
 * Sums here are RFC 1071's ones'-complement sums as `CopyEngine.checksum` gives them: over halfwords loaded
 * little-endian, 0 … 0xffff, not inverted. Stored little-endian, the bytes are those of the big-endian sum.
 */

/** Add two sums. */
export function addSums(a: number, b: number): number {
  const sum = a + b;
  return (sum & 0xffff) + (sum >>> 16);
}

/**
 * A sum of bytes that lie at an odd place of what is summed: each of them is the other half of its halfword. Also the sum
 * of a number, 0 … 0xffff, that is big-endian in the packet.
 */
export function swapSum(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

/**
 * The sum after a halfword changed, without summing the rest again (RFC 1624 §3).
 * @param sum    of all bytes before
 * @param before the halfword, as a sum; `after` likewise
 */
export function updateSum(sum: number, before: number, after: number): number {
  return addSums(addSums(sum, 0xffff - before), after);
}

/** Store the checksum of what sums to `sum`. @param at where the checksum field is in `u8` */
export function putChecksum(u8: Uint8Array, at: number, sum: number): void {
  u8[at] = ~sum;
  u8[at + 1] = ~sum >>> 8;
}

/** The same for UDP, where a checksum of zero would mean that there is none: RFC 768. */
export function putUdpChecksum(u8: Uint8Array, at: number, sum: number): void {
  putChecksum(u8, at, sum === 0xffff ? 0 : sum);
}

/**
 * The sum of the pseudo header of RFC 9293 §3.1 or RFC 8200 §8.1, with the addresses that the final destination sees.
 * @param base   where the frame begins in `memory`
 * @param length of transport header and payload, 0 … 0xffff
 */
export function pseudoHeaderSum(
  memory: HostMemory,
  base: number,
  ip: IpHeaders,
  protocol: number,
  length: number,
): number {
  const bytes = ip.version === 4 ? 4 : 16;
  const addresses = addSums(
    memory.engine.checksum(base + ip.homeAddress, bytes),
    memory.engine.checksum(base + ip.finalDestination, bytes),
  );
  return addSums(addresses, swapSum(addSums(protocol, length)));
}

/**
 * Sum a part of a frame, through however many ranges it lies in.
 * @param from   offset of the first byte in the frame; `from` + `length` ≤ frame.length
 */
export function sumFrame(frame: Frame, from: number, length: number): number {
  const { ranges, memory } = frame;
  let skip = frame.skip + from;
  let left = length;
  let sum = 0;
  let odd = false;
  for (let range = frame.first; range < frame.end && left > 0; range++) {
    const have = ranges.length[range]!;
    if (have <= skip) {
      skip -= have;
      continue;
    }
    const bytes = Math.min(have - skip, left);
    const part = memory.engine.checksum(ranges.offset[range]! + skip, bytes);
    sum = addSums(sum, odd ? swapSum(part) : part);
    if ((bytes & 1) !== 0) odd = !odd;
    skip = 0;
    left -= bytes;
  }
  return sum;
}

/** Offset of the checksum field in a transport header. */
export function checksumOffset(transport: number): number {
  return transport === IPPROTO.TCP ? 16 : 6;
}
