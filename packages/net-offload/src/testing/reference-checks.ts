import { referenceSum } from './reference.js';

/** What is wrong with the checksums of a frame without VLAN tags or extension headers, the outermost ones. */
export function checksumProblems(frame: Uint8Array): string[] {
  const problems: string[] = [];
  const version = frame[14]! >> 4;
  const headerBytes = version === 4 ? (frame[14]! & 15) * 4 : 40;
  const packet = frame.slice(
    14,
    14 + (version === 4 ? frame[16]! * 256 + frame[17]! : 40 + frame[18]! * 256 + frame[19]!),
  );
  if (packet.length !== frame.length - 14)
    problems.push(`the packet has ${packet.length} bytes of ${frame.length - 14}`);
  if (version === 4 && referenceSum(packet.slice(0, headerBytes)) !== 0xffff) problems.push('IPv4 header checksum');
  const protocol = version === 4 ? packet[9]! : packet[6]!;
  const segment = packet.slice(headerBytes);
  const addresses = version === 4 ? packet.slice(12, 20) : packet.slice(8, 40);
  const pseudo = Uint8Array.of(0, 0, segment.length >> 8, segment.length & 0xff, 0, protocol);
  if (protocol === 17 && segment[6] === 0 && segment[7] === 0) problems.push('no UDP checksum');
  else if (referenceSum(addresses, pseudo, segment) !== 0xffff) problems.push(`checksum of protocol ${protocol}`);
  return problems;
}
