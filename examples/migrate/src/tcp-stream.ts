import { TCP_FLAG, TCP_MSS, type TcpSegment } from './packets.js';

const { FIN, SYN, ACK } = TCP_FLAG;
const WINDOW = 0xffff;
/** µs until what was not acknowledged is sent again, doubled from time to time. RFC 6298 has a second; a switch needs none. */
const RESEND = 5_000;
const RESEND_MAX = 80_000;
/** Segments of a turn, so that everybody gets one. */
const BURST = 16;
/** First sequence number, near the end of 32 bits: the stream wraps early. */
const FIRST = 0xffff_0000;

/** What a connection hands to its station: where it goes is the station's to know. */
export type OutgoingSegment = Pick<TcpSegment, 'sequence' | 'ack' | 'flags' | 'window' | 'data'>;

/** What one end of a connection is to do. */
export interface TcpStreamOptions {
  /** Whether it begins; the other end waits. */
  readonly isClient: boolean;
  /** What it sends, behind which it closes its direction. */
  readonly payload: Uint8Array;
  /** What came in, in order. It is good during the call. */
  readonly received: (bytes: Uint8Array) => void;
  /** @returns false when there is no room: it is tried again */
  readonly send: (segment: OutgoingSegment) => boolean;
  /** A clock in µs that never goes back. */
  readonly now: () => number;
}

/**
 * One end of a TCP connection that carries a payload in each direction: handshake, window, cumulative acknowledgement,
 * sending again from the first byte that is missing, and FIN. What comes out of order is left to be sent again; options and urgent
 * data are not known. @see RFC 9293 §3
 */
export class TcpStream {
  /** Segments that were sent again. */
  resent = 0;
  /** Payload bytes that the other end has. */
  acknowledged = 0;
  private readonly options: TcpStreamOptions;
  private state: 'waiting' | 'opening' | 'open' = 'waiting';
  /** Payload bytes sent, FIN included, and whether that came back acknowledged. */
  private sent = 0;
  private furthest = 0;
  private isFinAcknowledged = false;
  private peerWindow = WINDOW;
  /** Sequence number of the next byte that comes in. */
  private expected = 0;
  private isPeerDone = false;
  private owesAck = false;
  private resendAt = Number.POSITIVE_INFINITY;
  private resendAfter = RESEND;

  constructor(options: TcpStreamOptions) {
    this.options = options;
    if (options.isClient) this.resendAt = 0;
  }

  /** Both directions are at their end, and known to be. */
  get isDone(): boolean {
    return this.isPeerDone && this.isFinAcknowledged;
  }

  /** A segment came in. */
  receive(segment: TcpSegment): void {
    const { flags, sequence, data } = segment;
    if ((flags & SYN) !== 0) {
      this.owesAck = true;
      if (this.state !== 'open') this.expected = (sequence + 1) >>> 0;
      if (this.state === 'waiting') this.state = 'opening';
      if (!this.options.isClient) this.resendAt = 0;
    }
    if ((flags & ACK) !== 0) this.takeAck(segment);
    if (this.state !== 'open' || (data.length === 0 && (flags & FIN) === 0)) return;
    this.owesAck = true;
    if (sequence !== this.expected) return;
    if (data.length > 0) this.options.received(data);
    this.expected = (sequence + data.length + (flags & FIN)) >>> 0;
    if ((flags & FIN) !== 0) this.isPeerDone = true;
  }

  /** Send what is due. @returns segments sent */
  turn(): number {
    const now = this.options.now();
    if (this.state !== 'open') return now >= this.resendAt ? this.sendSyn(now) : 0;
    if (now >= this.resendAt) {
      // The first byte that is missing, and everything behind it.
      this.resendAfter = Math.min(2 * this.resendAfter, RESEND_MAX);
      this.resendAt = now + this.resendAfter;
      this.sent = this.acknowledged;
    }
    let count = 0;
    while (count < BURST && this.sendNext(now)) count++;
    if (this.owesAck && this.emit(ACK, this.sent, new Uint8Array(0))) count++;
    return count;
  }

  private sendSyn(now: number): number {
    if (!this.options.isClient && this.state === 'waiting') return 0;
    const flags = this.options.isClient ? SYN : SYN | ACK;
    this.state = 'opening';
    this.resendAt = now + this.resendAfter;
    return this.emit(flags, -1, new Uint8Array(0)) ? 1 : 0;
  }

  private takeAck({ flags, ack, window }: TcpSegment): void {
    const upTo = (ack - FIRST - 1) >>> 0;
    this.peerWindow = window;
    if (this.state === 'opening' && upTo === 0 && (this.options.isClient ? (flags & SYN) !== 0 : true)) {
      this.state = 'open';
      this.resendAt = Number.POSITIVE_INFINITY;
      this.resendAfter = RESEND;
    }
    const end = this.options.payload.length;
    if (upTo <= this.acknowledged || upTo > this.furthest) return;
    this.isFinAcknowledged = upTo === end + 1;
    this.acknowledged = Math.min(upTo, end);
    this.sent = Math.max(this.sent, upTo);
    this.resendAfter = RESEND;
    this.resendAt = upTo === this.furthest ? Number.POSITIVE_INFINITY : this.options.now() + RESEND;
  }

  /** @returns whether a segment was sent */
  private sendNext(now: number): boolean {
    const { payload } = this.options;
    const from = this.sent;
    if (from > payload.length || from - this.acknowledged >= this.peerWindow) return false;
    const room = Math.min(TCP_MSS, this.peerWindow - (from - this.acknowledged));
    const data = payload.subarray(from, from + room);
    const isLast = from + data.length === payload.length && data.length < room;
    if (data.length === 0 && !isLast) return false;
    if (!this.emit(isLast ? ACK | FIN : ACK, from, data)) return false;
    if (from < this.furthest) this.resent++;
    this.sent = from + data.length + (isLast ? 1 : 0);
    this.furthest = Math.max(this.furthest, this.sent);
    if (this.resendAt === Number.POSITIVE_INFINITY) this.resendAt = now + this.resendAfter;
    return true;
  }

  /** @param from place in the payload; -1 for SYN */
  private emit(flags: number, from: number, data: Uint8Array): boolean {
    const ack = (flags & ACK) === 0 ? 0 : this.expected;
    const isSent = this.options.send({ sequence: (FIRST + 1 + from) >>> 0, ack, flags, window: WINDOW, data });
    if (isSent && (flags & ACK) !== 0) this.owesAck = false;
    return isSent;
  }
}
