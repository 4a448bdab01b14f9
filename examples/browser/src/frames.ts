/** Station of a guest on the wire. */
export interface Station {
  readonly mac: Uint8Array;
  /** IPv4, 4 bytes. */
  readonly ip: Uint8Array;
}

export const ETHERNET = { TYPE_AT: 12, IPV4: 0x0800, ARP: 0x0806, BYTES: 14 } as const;
/** RFC 826, from the start of the frame. */
export const ARP = { OPERATION_AT: 20, SENDER_MAC_AT: 22, SENDER_IP_AT: 28, TARGET_IP_AT: 38, BYTES: 42 } as const;
export const ARP_OPERATION = { REQUEST: 1, REPLY: 2 } as const;
/** RFC 792, from the start of a frame whose IPv4 header has no options. */
export const ICMP = { TYPE_AT: 34, CHECKSUM_AT: 36, NUMBER_AT: 40, SENT_AT: 42 } as const;
export const ECHO = { REPLY: 0, REQUEST: 8 } as const;

const IP_AT = ETHERNET.BYTES;
const PROTOCOL_ICMP = 1;
/** As `ping` sends: 56 bytes behind the ICMP header. */
const PING_BYTES = 98;
const BROADCAST = new Uint8Array(6).fill(0xff);

/** Who has `ip`? Or, with `to`, the answer to who asked. */
export function arpFrame(from: Station, ip: Uint8Array, to?: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ARP.BYTES);
  frame.set(to ?? BROADCAST, 0);
  frame.set(from.mac, 6);
  frame.set([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, to === undefined ? ARP_OPERATION.REQUEST : ARP_OPERATION.REPLY], 12);
  frame.set(from.mac, ARP.SENDER_MAC_AT);
  frame.set(from.ip, ARP.SENDER_IP_AT);
  if (to !== undefined) frame.set(to, 32);
  frame.set(ip, ARP.TARGET_IP_AT);
  return frame;
}

/** An echo request. @param number 16 bits. @param now of the sender's clock, ms; it comes back in the reply */
export function pingFrame(from: Station, to: Station, number: number, now: number): Uint8Array {
  const frame = new Uint8Array(PING_BYTES);
  const view = new DataView(frame.buffer);
  frame.set(to.mac, 0);
  frame.set(from.mac, 6);
  view.setUint16(ETHERNET.TYPE_AT, ETHERNET.IPV4);
  frame.set([0x45, 0, 0, PING_BYTES - IP_AT, 0, 0, 0x40, 0, 64, PROTOCOL_ICMP, 0, 0, ...from.ip, ...to.ip], IP_AT);
  view.setUint16(IP_AT + 10, checksum(frame, IP_AT, ICMP.TYPE_AT));
  frame[ICMP.TYPE_AT] = ECHO.REQUEST;
  view.setUint16(ICMP.NUMBER_AT, number);
  view.setFloat64(ICMP.SENT_AT, now);
  view.setUint16(ICMP.CHECKSUM_AT, checksum(frame, ICMP.TYPE_AT, frame.length));
  return frame;
}

/** Make the reply of an echo request, in place: sides exchanged, and the checksum of what follows from the type anew. */
export function answerPing(frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset);
  for (const [one, other, bytes] of [
    [0, 6, 6],
    [26, 30, 4],
  ] as const) {
    const kept = frame.slice(one, one + bytes);
    frame.copyWithin(one, other, other + bytes);
    frame.set(kept, other);
  }
  frame[ICMP.TYPE_AT] = ECHO.REPLY;
  view.setUint16(ICMP.CHECKSUM_AT, 0);
  view.setUint16(ICMP.CHECKSUM_AT, checksum(frame, ICMP.TYPE_AT, frame.length));
}

/** True for an ICMP message over IPv4 without options that is whole: both checksums are right. */
export function isWholeIcmp(frame: Uint8Array): boolean {
  return (
    frame.length >= ICMP.SENT_AT + 8 &&
    frame[IP_AT] === 0x45 &&
    frame[IP_AT + 9] === PROTOCOL_ICMP &&
    checksum(frame, IP_AT, ICMP.TYPE_AT) === 0 &&
    checksum(frame, ICMP.TYPE_AT, frame.length) === 0
  );
}

/** RFC 1071; 0 over bytes that have a right checksum among them. */
function checksum(bytes: Uint8Array, from: number, end: number): number {
  let sum = 0;
  for (let at = from; at < end; at += 2) sum += (bytes[at]! << 8) | (at + 1 < end ? bytes[at + 1]! : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
