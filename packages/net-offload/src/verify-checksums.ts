import type { Frame } from '@ringwire/net-backend';
import { addSums, pseudoHeaderSum, sumFrame } from './checksum.js';
import type { FrameHeaders, IpHeaders } from './frame-headers.js';
import { be16, IPPROTO, UDP } from './wire.js';

/** What a frame's checksums are worth. */
export const CHECKSUMS = {
  /** There is none that can be told: no TCP or UDP, a fragment, UDP without a checksum. */
  NONE: 0,
  GOOD: 1,
  BAD: 2,
} as const;
/** One of {@link CHECKSUMS}. */
export type Checksums = (typeof CHECKSUMS)[keyof typeof CHECKSUMS];

/**
 * Check the outermost checksums of a received frame: that of the IPv4 header, and of TCP or UDP behind it. GOOD is what
 * VIRTIO_NET_HDR_F_DATA_VALID says. virtio 1.4 §5.1.9.4
 * @param frame with complete checksums
 * @param base  where in its memory the bytes lie that `headers` was parsed from
 */
export function verifyChecksums(frame: Frame, base: number, headers: FrameHeaders): Checksums {
  const { ip } = headers;
  const { engine } = frame.memory;
  if (ip.version === 4 && engine.checksum(base + ip.at, ip.payload - ip.at) !== 0xffff) return CHECKSUMS.BAD;
  if (ip.transport === 0) return CHECKSUMS.NONE;
  const length = transportLength(frame, base, ip);
  if (length < 0) return CHECKSUMS.BAD;
  if (ip.transport === IPPROTO.UDP && be16(frame.memory.u8, base + ip.payload + UDP.checksum) === 0) {
    return CHECKSUMS.NONE;
  }
  const pseudo = pseudoHeaderSum(frame.memory, base, ip, ip.transport, length);
  return addSums(pseudo, sumFrame(frame, ip.payload, length)) === 0xffff ? CHECKSUMS.GOOD : CHECKSUMS.BAD;
}

/** Bytes that the checksum covers; -1 when the frame has fewer, or UDP's length is not one of its packet. */
function transportLength(frame: Frame, base: number, ip: IpHeaders): number {
  const length = ip.at + ip.length - ip.payload;
  if (ip.payload + length > frame.length) return -1;
  if (ip.transport === IPPROTO.TCP) return length;
  const udpLength = be16(frame.memory.u8, base + ip.payload + UDP.length);
  return udpLength < UDP.SIZE || udpLength > length ? -1 : udpLength;
}
