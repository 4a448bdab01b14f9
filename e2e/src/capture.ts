/**
 * A capture of numbered Ethernet frames of all lengths from 60 to 1514 bytes.
 * @returns the file's bytes, classic pcap
 */
export function numberedCapture(frames: number): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array(Uint32Array.of(0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 1).buffer)];
  for (let number = 0; number < frames; number++) {
    const length = 60 + ((number * 37) % 1455);
    const frame = Uint8Array.from({ length }, (_, at) => at * 7 + number);
    // From one station to another, with an experimental type, and the number behind it.
    frame.set([2, 0, 0, 0, 0, 0xbb, 2, 0, 0, 0, 0, 0xaa, 0x88, 0xb5]);
    new DataView(frame.buffer).setUint32(14, number);
    parts.push(new Uint8Array(Uint32Array.of(number, 0, length, length).buffer), frame);
  }
  return Buffer.concat(parts);
}
