/** Layouts of what stations say to each other; offsets in bytes from where the header begins, all fields big-endian. */
const ETHERNET = { to: 0, from: 6, type: 12, SIZE: 14 } as const;
/** RFC 826, for Ethernet and IPv4. */
const ARP = { operation: 6, senderMac: 8, senderIp: 14, targetMac: 18, targetIp: 24, SIZE: 28 } as const;
/** RFC 791, without options. */
const IP = { length: 2, flags: 6, ttl: 8, protocol: 9, checksum: 10, from: 12, to: 16, SIZE: 20 } as const;
/** RFC 792, echo and its reply. */
const ICMP = { type: 0, checksum: 2, id: 4, sequence: 6, SIZE: 8 } as const;
/** RFC 9293, without options. */
const TCP = { from: 0, to: 2, sequence: 4, ack: 8, offset: 12, flags: 13, window: 14, checksum: 16, SIZE: 20 } as const;

const ETHERTYPE = { IPV4: 0x0800, ARP: 0x0806, RARP: 0x8035 } as const;
export const ARP_OPERATION = { REQUEST: 1, REPLY: 2 } as const;
/** RFC 903. */
const RARP_REQUEST = 3;
const IPPROTO = { ICMP: 1, TCP: 6 } as const;
const ICMP_TYPE = { ECHO_REPLY: 0, ECHO: 8 } as const;
export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, ACK: 16 } as const;
/** Bytes of the largest segment in a frame of 1514 bytes. */
export const TCP_MSS: number = 1500 - IP.SIZE - TCP.SIZE;
const ARP_HEAD = Uint8Array.of(0, 1, 8, 0, 6, 4, 0);
const BROADCAST = new Uint8Array(6).fill(0xff);
const DONT_FRAGMENT = 0x4000;
const TTL = 64;

/** Ethernet and IPv4 addresses of a station. */
export interface StationAddress {
  readonly mac: Uint8Array;
  /** 4 bytes. */
  readonly ip: Uint8Array;
}

interface ArpPacket {
  readonly kind: 'arp';
  readonly operation: number;
  readonly sender: StationAddress;
  readonly targetIp: Uint8Array;
}

export interface EchoPacket {
  readonly kind: 'echo';
  readonly isReply: boolean;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly id: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface TcpSegment {
  readonly kind: 'tcp';
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly fromPort: number;
  readonly toPort: number;
  readonly sequence: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly data: Uint8Array;
}

export type Packet = ArpPacket | EchoPacket | TcpSegment;

/** The ones' complement of RFC 1071's sum, ready to be written; 0 over bytes that hold a good checksum. */
function checksum(bytes: Uint8Array, sum = 0): number {
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The sum over TCP's pseudo header, which the segment's own follows. RFC 9293 §3.1 */
function pseudoSum(from: Uint8Array, to: Uint8Array, length: number): number {
  return [from, to].reduce((sum, [a, b, c, d]) => sum + (a! << 8) + b! + (c! << 8) + d!, IPPROTO.TCP + length);
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, at) => byte === b[at]);

function ethernet(to: Uint8Array, from: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(Math.max(60, ETHERNET.SIZE + payload.length));
  frame.set(to, ETHERNET.to);
  frame.set(from, ETHERNET.from);
  viewOf(frame).setUint16(ETHERNET.type, type);
  frame.set(payload, ETHERNET.SIZE);
  return frame;
}

/** A frame with a question to everybody, or an answer to one. */
export function arpFrame(operation: number, sender: StationAddress, target: StationAddress): Uint8Array {
  const packet = new Uint8Array(ARP.SIZE);
  packet.set(ARP_HEAD);
  packet[ARP.operation + 1] = operation;
  packet.set(sender.mac, ARP.senderMac);
  packet.set(sender.ip, ARP.senderIp);
  packet.set(target.mac, ARP.targetMac);
  packet.set(target.ip, ARP.targetIp);
  const to = operation === ARP_OPERATION.REQUEST ? BROADCAST : target.mac;
  return ethernet(to, sender.mac, ETHERTYPE.ARP, packet);
}

/** A frame from which switches learn where an address is now, as hypervisors send it for a guest that arrived. */
export function announcement(mac: Uint8Array): Uint8Array {
  const packet = new Uint8Array(ARP.SIZE);
  packet.set(ARP_HEAD);
  packet[ARP.operation + 1] = RARP_REQUEST;
  packet.set(mac, ARP.senderMac);
  packet.set(mac, ARP.targetMac);
  return ethernet(BROADCAST, mac, ETHERTYPE.RARP, packet);
}

function ipv4(protocol: number, from: StationAddress, to: StationAddress, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(IP.SIZE + payload.length);
  const view = viewOf(packet);
  packet[0] = 0x45;
  view.setUint16(IP.length, packet.length);
  view.setUint16(IP.flags, DONT_FRAGMENT);
  packet[IP.ttl] = TTL;
  packet[IP.protocol] = protocol;
  packet.set(from.ip, IP.from);
  packet.set(to.ip, IP.to);
  view.setUint16(IP.checksum, checksum(packet.subarray(0, IP.SIZE)));
  packet.set(payload, IP.SIZE);
  return ethernet(to.mac, from.mac, ETHERTYPE.IPV4, packet);
}

export function echoFrame(
  from: StationAddress,
  to: StationAddress,
  echo: Omit<EchoPacket, 'kind' | 'from' | 'to'>,
): Uint8Array {
  const message = new Uint8Array(ICMP.SIZE + echo.data.length);
  const view = viewOf(message);
  message[ICMP.type] = echo.isReply ? ICMP_TYPE.ECHO_REPLY : ICMP_TYPE.ECHO;
  view.setUint16(ICMP.id, echo.id);
  view.setUint16(ICMP.sequence, echo.sequence);
  message.set(echo.data, ICMP.SIZE);
  view.setUint16(ICMP.checksum, checksum(message));
  return ipv4(IPPROTO.ICMP, from, to, message);
}

export function tcpFrame(
  from: StationAddress,
  to: StationAddress,
  segment: Omit<TcpSegment, 'kind' | 'from' | 'to'>,
): Uint8Array {
  const bytes = new Uint8Array(TCP.SIZE + segment.data.length);
  const view = viewOf(bytes);
  view.setUint16(TCP.from, segment.fromPort);
  view.setUint16(TCP.to, segment.toPort);
  view.setUint32(TCP.sequence, segment.sequence);
  view.setUint32(TCP.ack, segment.ack);
  bytes[TCP.offset] = (TCP.SIZE / 4) << 4;
  bytes[TCP.flags] = segment.flags;
  view.setUint16(TCP.window, segment.window);
  bytes.set(segment.data, TCP.SIZE);
  view.setUint16(TCP.checksum, checksum(bytes, pseudoSum(from.ip, to.ip, bytes.length)));
  return ipv4(IPPROTO.TCP, from, to, bytes);
}

/** What a frame says, if it is anything that a station here understands and its checksums are right. */
export function readFrame(frame: Uint8Array): Packet | undefined {
  if (frame.length < ETHERNET.SIZE) return undefined;
  const type = viewOf(frame).getUint16(ETHERNET.type);
  const payload = frame.subarray(ETHERNET.SIZE);
  if (type === ETHERTYPE.ARP && payload.length >= ARP.SIZE) return readArp(payload);
  return type === ETHERTYPE.IPV4 && payload.length >= IP.SIZE ? readIp(payload) : undefined;
}

function readArp(packet: Uint8Array): ArpPacket | undefined {
  if (!sameBytes(ARP_HEAD, packet)) return undefined;
  return {
    kind: 'arp',
    operation: packet[ARP.operation + 1]!,
    sender: {
      mac: packet.slice(ARP.senderMac, ARP.senderIp),
      ip: packet.slice(ARP.senderIp, ARP.targetMac),
    },
    targetIp: packet.slice(ARP.targetIp, ARP.SIZE),
  };
}

function readIp(padded: Uint8Array): Packet | undefined {
  const length = viewOf(padded).getUint16(IP.length);
  if (padded[0] !== 0x45 || length < IP.SIZE || length > padded.length) return undefined;
  if (checksum(padded.subarray(0, IP.SIZE)) !== 0) return undefined;
  const from = padded.slice(IP.from, IP.to);
  const to = padded.slice(IP.to, IP.SIZE);
  const payload = padded.subarray(IP.SIZE, length);
  const view = viewOf(payload);
  if (padded[IP.protocol] === IPPROTO.ICMP && payload.length >= ICMP.SIZE && checksum(payload) === 0) {
    const type = payload[ICMP.type];
    if (type !== ICMP_TYPE.ECHO && type !== ICMP_TYPE.ECHO_REPLY) return undefined;
    return {
      kind: 'echo',
      ...{ isReply: type === ICMP_TYPE.ECHO_REPLY, from, to },
      id: view.getUint16(ICMP.id),
      sequence: view.getUint16(ICMP.sequence),
      data: payload.slice(ICMP.SIZE),
    };
  }
  if (padded[IP.protocol] !== IPPROTO.TCP || payload.length < TCP.SIZE) return undefined;
  if (checksum(payload, pseudoSum(from, to, payload.length)) !== 0) return undefined;
  return {
    kind: 'tcp',
    ...{ from, to },
    fromPort: view.getUint16(TCP.from),
    toPort: view.getUint16(TCP.to),
    sequence: view.getUint32(TCP.sequence),
    ack: view.getUint32(TCP.ack),
    flags: payload[TCP.flags]!,
    window: view.getUint16(TCP.window),
    data: payload.slice((payload[TCP.offset]! >>> 4) * 4),
  };
}
