import {
  type DmaMemory,
  isBreakdown,
  type NetDriver,
  openNetDriver,
  SENT,
  type Transport,
} from '@ringwire/guest-drivers';
import {
  ARP,
  ARP_OPERATION,
  answerPing,
  arpFrame,
  ECHO,
  ETHERNET,
  ICMP,
  isWholeIcmp,
  pingFrame,
  type Station,
} from './frames.js';

/** What a guest has seen. */
export interface GuestCounters {
  /** Echo requests sent, their replies, and requests of the other guest that were answered. */
  pings: number;
  replies: number;
  answered: number;
  arps: number;
  /** Frames with a wrong checksum, or that no guest expects. */
  wrong: number;
  /** Of the last reply, ms. */
  roundTrip: number;
}

/** How often an address is asked for that nobody answered yet, in ms. */
const RETRY_MS = 200;
/** A ping is taken for lost after so long, in ms. */
const LOST_MS = 2000;

/** A guest: a network driver, a station with an address, and pings to another one, as many in flight as it is told to. */
export class Guest {
  readonly driver: NetDriver;
  readonly counters: GuestCounters = { pings: 0, replies: 0, answered: 0, arps: 0, wrong: 0, roundTrip: 0 };
  /** Echo requests to have in flight; 0 to 64. */
  inFlight = 0;
  private readonly station: Station;
  private readonly peer: Uint8Array;
  private peerMac: Uint8Array | undefined = undefined;
  private asked = Number.NEGATIVE_INFINITY;
  private waiting = 0;
  private heard = 0;

  /** @param peer IPv4 address of the other guest. @throws Error when the device cannot be driven */
  constructor(transport: Transport, dma: DmaMemory, station: Station, peer: Uint8Array) {
    this.station = station;
    this.peer = peer;
    const driver = openNetDriver({
      transport,
      dma,
      now: () => performance.now(),
      events: { frame: (frame) => this.receive(frame.bytes()) },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
  }

  /** Do what the driver has to do, and keep pings in flight. @returns whether anything was done */
  attend(): boolean {
    const { driver, counters } = this;
    const before = counters.pings + counters.replies + counters.answered;
    while (driver.needsPoll) driver.poll();
    this.sendPings();
    return counters.pings + counters.replies + counters.answered !== before;
  }

  /** Some ten times a second: what is lost is given up, and who does not answer is asked again. */
  watch(): void {
    this.driver.watch();
    if (this.waiting > 0 && performance.now() - this.heard > LOST_MS) this.waiting = 0;
    this.sendPings();
  }

  private sendPings(): void {
    const now = performance.now();
    if (this.inFlight === 0) return;
    if (this.peerMac === undefined) {
      if (now - this.asked < RETRY_MS) return;
      this.asked = now;
      if (this.send(arpFrame(this.station, this.peer))) this.counters.arps++;
      return;
    }
    const to = { mac: this.peerMac, ip: this.peer };
    while (this.waiting < this.inFlight) {
      if (!this.send(pingFrame(this.station, to, this.counters.pings & 0xffff, performance.now()))) return;
      this.counters.pings++;
      if (this.waiting++ === 0) this.heard = now;
    }
  }

  private receive(frame: Uint8Array): void {
    const type = (frame[ETHERNET.TYPE_AT]! << 8) | frame[ETHERNET.TYPE_AT + 1]!;
    if (type === ETHERNET.ARP && frame.length >= ARP.BYTES) this.receiveArp(frame);
    else if (type === ETHERNET.IPV4 && isWholeIcmp(frame)) this.receiveIcmp(frame);
    else this.counters.wrong++;
  }

  private receiveArp(frame: Uint8Array): void {
    const isMine = this.station.ip.every((byte, at) => byte === frame[ARP.TARGET_IP_AT + at]);
    const senderMac = frame.slice(ARP.SENDER_MAC_AT, ARP.SENDER_MAC_AT + 6);
    const senderIp = frame.slice(ARP.SENDER_IP_AT, ARP.SENDER_IP_AT + 4);
    if (!isMine) return;
    if (this.peer.every((byte, at) => byte === senderIp[at])) this.peerMac = senderMac;
    if (frame[ARP.OPERATION_AT + 1] !== ARP_OPERATION.REQUEST) return;
    if (this.send(arpFrame(this.station, senderIp, senderMac))) this.counters.arps++;
  }

  private receiveIcmp(frame: Uint8Array): void {
    const { counters } = this;
    if (frame[ICMP.TYPE_AT] === ECHO.REQUEST) {
      answerPing(frame);
      if (this.send(frame)) counters.answered++;
    } else if (frame[ICMP.TYPE_AT] === ECHO.REPLY) {
      this.heard = performance.now();
      counters.roundTrip = this.heard - new DataView(frame.buffer).getFloat64(ICMP.SENT_AT);
      counters.replies++;
      if (this.waiting > 0) this.waiting--;
    } else counters.wrong++;
  }

  private send(frame: Uint8Array): boolean {
    return this.driver.sendBytes(frame) === SENT.OK;
  }
}
