import type { HostMemory } from '@ringwire/guest-memory';
import { addSums, pseudoHeaderSum, putChecksum, putUdpChecksum, swapSum } from './checksum.js';
import type { IpHeaders } from './frame-headers.js';
import type { SegmentPlan } from './segment-plan.js';
import { be16, be32, IPPROTO, IPV4, IPV6, putBe16, putBe32, TCP, TCP_FLAG, UDP } from './wire.js';

/**
 * Make a segment's headers out of a copy of the frame's: sequence number, flags, lengths, identification, checksums,
 * and the same for a tunnel's outer headers.
 * @param at      host offset of the copy, `plan.headerBytes` long
 * @param index   of the segment, 0 … plan.count - 1
 * @param bytes   of its payload
 * @param payload what they sum to
 * @param outerChecksum true when the outer UDP header gets a checksum
 */
export function writeSegmentHeaders(
  memory: HostMemory,
  at: number,
  plan: SegmentPlan,
  index: number,
  bytes: number,
  payload: number,
  outerChecksum: boolean,
): void {
  const { u8 } = memory;
  const { ip } = plan;
  const end = plan.headerBytes + bytes;
  setIpLength(memory, at, ip, end - ip.at, index);
  if (ip.transport === IPPROTO.TCP) {
    const sequence = at + ip.payload + TCP.sequence;
    putBe32(u8, sequence, be32(u8, sequence) + index * plan.size);
    if (index > 0) u8[at + ip.payload + TCP.flags]! &= ~TCP_FLAG.CWR;
    if (index < plan.count - 1) u8[at + ip.payload + TCP.flags]! &= ~(TCP_FLAG.FIN | TCP_FLAG.PSH);
  } else putBe16(u8, at + ip.payload + UDP.length, end - ip.payload);
  finishTransport(memory, at, ip, ip.payload, plan.headerBytes, end, payload);
  if (plan.outerUdp === 0) return;
  setIpLength(memory, at, plan.outer, end - plan.outer.at, index);
  putBe16(u8, at + plan.outerUdp + UDP.length, end - plan.outerUdp);
  if (outerChecksum) finishTransport(memory, at, plan.outer, plan.outerUdp, plan.headerBytes, end, payload);
}

/**
 * Set the length in an IP header, and in IPv4 count the identification up and do the header's checksum again.
 * @param length of the IP packet
 */
function setIpLength(memory: HostMemory, at: number, ip: IpHeaders, length: number, index: number): void {
  const { u8 } = memory;
  if (ip.version === 6) {
    putBe16(u8, at + ip.at + IPV6.payload_length, length - IPV6.SIZE);
    return;
  }
  const header = at + ip.at;
  putBe16(u8, header + IPV4.total_length, length);
  putBe16(u8, header + IPV4.identification, be16(u8, header + IPV4.identification) + index);
  finishIpv4(memory, header, ip.payload - ip.at);
}

/** @param header host offset of an IPv4 header of `bytes` bytes */
export function finishIpv4(memory: HostMemory, header: number, bytes: number): void {
  putBe16(memory.u8, header + IPV4.checksum, 0);
  putChecksum(memory.u8, header + IPV4.checksum, memory.engine.checksum(header, bytes));
}

/** The checksum of a transport header at `transport`, whose packet's headers end at `headerEnd` and payload at `end`. */
function finishTransport(
  memory: HostMemory,
  at: number,
  ip: IpHeaders,
  transport: number,
  headerEnd: number,
  end: number,
  payload: number,
): void {
  const { u8 } = memory;
  const tcp = ip.transport === IPPROTO.TCP;
  const field = at + transport + (tcp ? TCP.checksum : UDP.checksum);
  putBe16(u8, field, 0);
  const headers = memory.engine.checksum(at + transport, headerEnd - transport);
  const pseudo = pseudoHeaderSum(memory, at, ip, ip.transport, end - transport);
  // A tunnel header of an odd length puts the payload at an odd place.
  const behind = ((headerEnd - transport) & 1) === 0 ? payload : swapSum(payload);
  const sum = addSums(addSums(pseudo, headers), behind);
  if (tcp) putChecksum(u8, field, sum);
  else putUdpChecksum(u8, field, sum);
}
