import {
  ARP_OPERATION,
  arpFrame,
  type EchoPacket,
  echoFrame,
  type Packet,
  readFrame,
  type StationAddress,
  sameBytes,
  type TcpSegment,
  tcpFrame,
} from './packets.js';
import { TcpStream, type TcpStreamOptions } from './tcp-stream.js';

/** Of the one connection that a station has. */
const PORT = 5001;
const PING_ID = 0x7277;
const PING_BYTES = new Uint8Array(56).map((_, at) => at);
/** Between two questions for the other one's address. */
const ARP_MICROSECONDS = 5_000;
const NO_MAC = new Uint8Array(6);

/** One ping, in µs of the station's clock. */
export interface Ping {
  readonly sentAt: number;
  /** Undefined for as long as no reply came. */
  answeredAt: number | undefined;
}

/** What a station is connected by. */
export interface StationLink {
  /** @returns false when there is no room now */
  send(frame: Uint8Array): boolean;
  /** A clock in µs that never goes back. */
  now(): number;
}

/** A small IPv4 host that knows one other: ARP, ICMP echo, and one TCP connection. */
export class Station {
  readonly pings: Ping[] = [];
  stream: TcpStream | undefined;
  private readonly own: StationAddress;
  private readonly link: StationLink;
  private readonly otherIp: Uint8Array;
  private otherMac: Uint8Array | undefined;
  private askAt = 0;
  /** What found no room and waits for it, the oldest first. */
  private readonly owed: Uint8Array[] = [];

  constructor(own: StationAddress, otherIp: Uint8Array, link: StationLink) {
    this.own = own;
    this.otherIp = otherIp;
    this.link = link;
  }

  /** Begin, or wait for, the connection. */
  openStream(options: Pick<TcpStreamOptions, 'isClient' | 'payload' | 'received'>): void {
    this.stream = new TcpStream({
      ...options,
      now: () => this.link.now(),
      send: (segment) => this.sendTo((to) => tcpFrame(this.own, to, { ...segment, fromPort: PORT, toPort: PORT })),
    });
  }

  /** Send an echo request, once the other one's address is known. */
  ping(): void {
    if (this.otherMac === undefined) return;
    const sequence = this.pings.length & 0xffff;
    this.pings.push({ sentAt: this.link.now(), answeredAt: undefined });
    this.sendTo((to) => echoFrame(this.own, to, { isReply: false, id: PING_ID, sequence, data: PING_BYTES }), true);
  }

  /** A frame came in, which anybody may have sent. */
  receive(frame: Uint8Array): void {
    const packet = readFrame(frame);
    if (packet !== undefined) this.take(packet);
  }

  /** Send what is due. @returns frames sent */
  turn(): number {
    let count = 0;
    while (this.owed.length > 0 && this.link.send(this.owed[0]!)) {
      this.owed.shift();
      count++;
    }
    return count + (this.stream?.turn() ?? 0);
  }

  private take(packet: Packet): void {
    const { own, otherIp } = this;
    if (packet.kind === 'arp') {
      if (!sameBytes(packet.sender.ip, otherIp)) return;
      this.otherMac = packet.sender.mac;
      if (packet.operation === ARP_OPERATION.REQUEST && sameBytes(packet.targetIp, own.ip))
        this.owed.push(arpFrame(ARP_OPERATION.REPLY, own, packet.sender));
      return;
    }
    if (!sameBytes(packet.to, own.ip) || !sameBytes(packet.from, otherIp)) return;
    if (packet.kind === 'echo') this.takeEcho(packet);
    else this.takeSegment(packet);
  }

  private takeEcho({ isReply, id, sequence, data }: EchoPacket): void {
    if (!isReply) {
      this.sendTo((to) => echoFrame(this.own, to, { isReply: true, id, sequence, data }), true);
      return;
    }
    const ping = id === PING_ID && sameBytes(PING_BYTES, data) ? this.pings[sequence] : undefined;
    if (ping !== undefined) ping.answeredAt ??= this.link.now();
  }

  private takeSegment(segment: TcpSegment): void {
    if (segment.toPort === PORT && segment.fromPort === PORT) this.stream?.receive(segment);
  }

  /** @returns false: without the other one's address, which is asked for, or without room */
  private sendTo(frame: (to: StationAddress) => Uint8Array, isOwed = false): boolean {
    const { own, otherIp, otherMac: mac, link } = this;
    if (mac === undefined) {
      if (link.now() < this.askAt) return false;
      this.askAt = link.now() + ARP_MICROSECONDS;
      link.send(arpFrame(ARP_OPERATION.REQUEST, own, { mac: NO_MAC, ip: otherIp }));
      return false;
    }
    const bytes = frame({ mac, ip: otherIp });
    const isSent = link.send(bytes);
    if (!isSent && isOwed) this.owed.push(bytes);
    return isSent || isOwed;
  }
}
