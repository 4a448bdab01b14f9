/** Ones'-complement sum of big-endian halfwords, an odd last byte padded. */
function sum16(bytes: Uint8Array, from: number, end: number, start: number): number {
  let sum = start;
  for (let i = from; i < end; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/**
 * A TCP segment over IPv4, 54 bytes of headers, with counting bytes as payload.
 * @param isPartial leave the checksum to the device: the field holds the pseudo header's sum (virtio 1.4 §5.1.9.2)
 */
export function tcpFrame(to: Uint8Array, payload: number, seed: number, isPartial: boolean): Uint8Array {
  const frame = new Uint8Array(54 + payload);
  const view = new DataView(frame.buffer);
  frame.set(to, 0);
  frame.set([2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45], 6);
  view.setUint16(16, 40 + payload);
  view.setUint16(18, seed);
  frame.set([0x40, 0, 64, 6], 20);
  frame.set([10, 0, 0, 1, 10, 0, 0, 2], 26);
  view.setUint16(24, ~sum16(frame, 14, 34, 0) & 0xffff);
  view.setUint16(34, 1024 + (seed & 7));
  view.setUint16(36, 80);
  view.setUint32(38, seed * 100_000);
  frame.set([0x50, 0x10, 0xff, 0xff], 46);
  for (let i = 0; i < payload; i++) frame[54 + i] = (i + seed) & 0xff;
  const pseudo = sum16(frame, 26, 34, 6 + 20 + payload);
  view.setUint16(50, isPartial ? pseudo : ~sum16(frame, 34, frame.length, pseudo) & 0xffff);
  return frame;
}

/** The frame without what segmentation and checksums fill in. */
export function withoutTcpSums(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  copy.fill(0, 50, 52);
  return copy;
}
