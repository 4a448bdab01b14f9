/** Ones'-complement sum of big-endian halfwords, an odd last byte padded; not inverted. */
function sum(bytes: Uint8Array, from: number, end: number, start: number): number {
  let total = start;
  for (let i = from; i < end; i += 2) total += (bytes[i]! << 8) | (i + 1 < end ? bytes[i + 1]! : 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

const ETHERNET = 14;
const TCP = 6;
const UDP = 17;

/** A TCP segment over IPv4 from 10.0.0.1 to 10.0.0.2 whose checksum is left to the card: headers of 54 bytes. */
export function partialTcp(to: Uint8Array, from: Uint8Array, payload: number): Uint8Array {
  const frame = new Uint8Array(54 + payload);
  const view = new DataView(frame.buffer);
  frame.set([...to, ...from, 0x08, 0x00, 0x45]);
  view.setUint16(16, 40 + payload);
  frame.set([0x40, 0, 64, TCP], 20);
  frame.set([10, 0, 0, 1, 10, 0, 0, 2], 26);
  view.setUint16(24, ~sum(frame, ETHERNET, 34, 0) & 0xffff);
  view.setUint16(34, 1024);
  view.setUint16(36, 80);
  view.setUint32(38, 1000);
  frame.set([0x50, 0x18, 0xff, 0xff], 46);
  for (let i = 0; i < payload; i++) frame[54 + i] = (i * 7) & 0xff;
  view.setUint16(50, sum(frame, 26, 34, TCP + 20 + payload));
  return frame;
}

/** The same over IPv6, from fd00::1 to fd00::2: headers of 74 bytes. */
export function partialTcp6(to: Uint8Array, from: Uint8Array, payload: number): Uint8Array {
  const frame = new Uint8Array(74 + payload);
  const view = new DataView(frame.buffer);
  frame.set([...to, ...from, 0x86, 0xdd, 0x60]);
  view.setUint16(18, 20 + payload);
  frame.set([TCP, 64, 0xfd], 20);
  frame[37] = 1;
  frame.set([0xfd], 38);
  frame[53] = 2;
  view.setUint16(54, 1024);
  view.setUint16(56, 80);
  view.setUint32(58, 1000);
  frame.set([0x50, 0x18, 0xff, 0xff], 66);
  for (let i = 0; i < payload; i++) frame[74 + i] = (i * 7) & 0xff;
  view.setUint16(70, sum(frame, 22, 54, TCP + 20 + payload));
  return frame;
}

/** A UDP datagram over IPv4, whose checksum is left to the card: headers of 42 bytes. */
export function partialUdp(to: Uint8Array, from: Uint8Array, payload: number): Uint8Array {
  const frame = new Uint8Array(42 + payload);
  const view = new DataView(frame.buffer);
  frame.set(partialTcp(to, from, 0).subarray(0, 34));
  view.setUint16(16, 28 + payload);
  frame[23] = UDP;
  view.setUint16(24, 0);
  view.setUint16(24, ~sum(frame, ETHERNET, 34, 0) & 0xffff);
  view.setUint16(34, 1024);
  view.setUint16(36, 53);
  view.setUint16(38, 8 + payload);
  for (let i = 0; i < payload; i++) frame[42 + i] = (i * 7) & 0xff;
  view.setUint16(40, sum(frame, 26, 34, UDP + 8 + payload));
  return frame;
}

/** Whether both checksums of a TCP segment or a UDP datagram over IPv4 or IPv6 are right, and its lengths are those of the frame. */
export function isWhole(frame: Uint8Array): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const isV4 = view.getUint16(12) === 0x0800;
  const tcp = isV4 ? 34 : 54;
  const length = frame.length - tcp;
  if (isV4 && (sum(frame, ETHERNET, tcp, 0) !== 0xffff || view.getUint16(16) !== frame.length - ETHERNET)) return false;
  if (!isV4 && view.getUint16(18) !== length) return false;
  const protocol = frame[isV4 ? 23 : 20]!;
  if (protocol === UDP && view.getUint16(tcp + 4) !== length) return false;
  return sum(frame, tcp, frame.length, sum(frame, isV4 ? 26 : 22, tcp, protocol + length)) === 0xffff;
}
