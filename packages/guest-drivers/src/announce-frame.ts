const ETHERNET_MIN = 60;
const ETHERTYPE_RARP = 0x8035;
const HEADER = Uint8Array.of(0, 1, 8, 0, 6, 4, 0, 3); // Ethernet, IPv4, their lengths, request reverse

/**
 * A frame by which switches learn where a station is now: RARP to everybody, as hypervisors send it, because a driver
 * knows no IP address. @see RFC 903
 */
export function announceFrame(mac: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(ETHERNET_MIN);
  frame.fill(0xff, 0, 6);
  frame.set(mac, 6);
  new DataView(frame.buffer).setUint16(12, ETHERTYPE_RARP);
  frame.set(HEADER, 14);
  // Sender and target are the station itself; its IP addresses are 0.
  frame.set(mac, 22);
  frame.set(mac, 32);
  return frame;
}
