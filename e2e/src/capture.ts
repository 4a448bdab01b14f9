/** Where a frame has its number: behind the headers that any frame here has. */
const NUMBER_AT = 42;

/**
 * A capture of Ethernet frames with these numbers, of all lengths from 60 to 1514 bytes.
 * @param flows how many flows of UDP take turns; none unless given: frames have an experimental type then
 * @param from last byte of the address that a frame comes from, @param to of the one that all go to
 * @returns the file's bytes, classic pcap
 */
export function numberedCapture(
  numbers: Iterable<number>,
  flows = 0,
  from: (number: number) => number = () => 0xaa,
  to = 0xbb,
): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array(Uint32Array.of(0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 1).buffer)];
  for (const number of numbers) {
    const length = 60 + ((number * 37) % 1455);
    const frame = Uint8Array.from({ length }, (_, at) => at * 7 + number);
    // From one station to another.
    frame.set([2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from(number), 0x88, 0xb5]);
    if (flows > 0) writeUdp(frame, number % flows);
    new DataView(frame.buffer).setUint32(NUMBER_AT, number);
    parts.push(new Uint8Array(Uint32Array.of(number, 0, length, length).buffer), frame);
  }
  return Buffer.concat(parts);
}

/** IPv4 and UDP headers for all of the frame, from 10.0.0.1 to 10.0.1.1, with a port for each flow. */
function writeUdp(frame: Uint8Array, flow: number): void {
  frame.set([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1], 12);
  const view = new DataView(frame.buffer);
  view.setUint16(16, frame.length - 14);
  view.setUint16(34, 1000 + flow);
  view.setUint16(36, 7);
  view.setUint16(38, frame.length - 34);
  view.setUint16(40, 0);
}

/** The number of a frame of {@link numberedCapture}. */
export function numberOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(NUMBER_AT);
}
