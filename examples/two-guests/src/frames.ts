const IPV4 = 0x0800;
const ICMP = 1;
const UDP = 17;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const IP_AT = 14;
const PAYLOAD_AT = 34;
const NUMBER_AT = 42;
const ADDRESSES = [10, 0, 0];

/** A frame between the two guests, 10.0.0.1 and 10.0.0.2. @param from 1 or 2 */
function ipFrame(length: number, from: number, macs: readonly Uint8Array[], protocol: number): [Uint8Array, DataView] {
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  frame.set(macs[2 - from]!, 0);
  frame.set(macs[from - 1]!, 6);
  view.setUint16(12, IPV4);
  frame.set([0x45, 0, (length - IP_AT) >> 8, (length - IP_AT) & 0xff, 0, 0, 0x40, 0, 64, protocol], IP_AT);
  frame.set([...ADDRESSES, from, ...ADDRESSES, 3 - from], IP_AT + 12);
  view.setUint16(IP_AT + 10, checksum(frame, IP_AT, PAYLOAD_AT));
  return [frame, view];
}

/** An echo request of 98 bytes. @param number 16 bits */
export function pingFrame(macs: readonly Uint8Array[], number: number): Uint8Array {
  const [frame, view] = ipFrame(98, 1, macs, ICMP);
  frame[PAYLOAD_AT] = ECHO_REQUEST;
  view.setUint16(PAYLOAD_AT + 6, number);
  view.setUint16(PAYLOAD_AT + 2, checksum(frame, PAYLOAD_AT, frame.length));
  return frame;
}

/** What the second guest answers to a frame; undefined unless it is an echo request. */
export function answerTo(frame: Uint8Array, macs: readonly Uint8Array[]): Uint8Array | undefined {
  if (frame[IP_AT + 9] !== ICMP || frame[PAYLOAD_AT] !== ECHO_REQUEST) return undefined;
  const [answer, view] = ipFrame(frame.length, 2, macs, ICMP);
  answer.set(frame.subarray(PAYLOAD_AT), PAYLOAD_AT);
  answer[PAYLOAD_AT] = ECHO_REPLY;
  view.setUint16(PAYLOAD_AT + 2, 0);
  view.setUint16(PAYLOAD_AT + 2, checksum(answer, PAYLOAD_AT, answer.length));
  return answer;
}

/** The number of an echo request or of its reply; -1 for any other frame. */
export const pingNumber = (frame: Uint8Array): number =>
  frame[IP_AT + 9] === ICMP ? (frame[PAYLOAD_AT + 6]! << 8) | frame[PAYLOAD_AT + 7]! : -1;

/** Numbers of the echo requests that come before and after everything else: is somebody there, has all arrived. */
export const FIRST_PING = 0xfffe;
export const LAST_PING = 0xffff;

/** A UDP datagram to port 9, without checksum, with a number in it that {@link numberFrame} changes. */
export function streamFrame(macs: readonly Uint8Array[], length: number): Uint8Array {
  const [frame, view] = ipFrame(length, 1, macs, UDP);
  view.setUint16(PAYLOAD_AT, 40000);
  view.setUint16(PAYLOAD_AT + 2, 9);
  view.setUint16(PAYLOAD_AT + 4, length - PAYLOAD_AT);
  return frame;
}

export function numberFrame(frame: Uint8Array, number: number): void {
  for (let byte = 0; byte < 4; byte++) frame[NUMBER_AT + byte] = number >>> (8 * byte);
}

/** Offset in a frame of the number that {@link numberFrame} wrote, little-endian. */
export const FRAME_NUMBER_AT: number = NUMBER_AT;

/** RFC 1071 */
function checksum(bytes: Uint8Array, from: number, end: number): number {
  let sum = 0;
  for (let at = from; at < end; at += 2) sum += (bytes[at]! << 8) | (at + 1 < end ? bytes[at + 1]! : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
