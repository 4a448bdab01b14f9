import { crc32 } from '@ringwire/guest-memory';
import type { Machine, Station } from './architecture.js';
import { milliseconds } from './clock.js';

const NUMBER_AT = 14;
const NUMBER_BYTES = 4;
const BODY_AT = 18;
/** Frames under way: as many as the smallest ring of any driver here holds. */
const WINDOW = 128;
const BURST = 32;
/** Turns without a frame after which one is lost. */
const PATIENCE = 10_000;
/** What was set up meanwhile takes effect. */
const FIRST_TURNS = 4;
const DIGEST_PRIME = 0x0100_0193;
const GOLDEN = 0x9e37_79b1;

/** Frames with numbers, from one guest to the other. Addresses apart, a frame is its number and what follows from that. */
export class Traffic {
  /** ms that were spent in software of the host, and in cards; what remains of the time was guests'. */
  hostMs = 0;
  cardMs = 0;
  /** Frames that did not come, came out of their place, or not as they were sent. */
  wrong = 0;
  /** Of every byte that came, in its order; with {@link isWhole} alone. */
  digest = 0;
  /** Turns in which frames were handed to the sender. */
  bursts = 0;
  sent = 0;
  /** How often each number came. */
  private readonly seen: Uint8Array;
  private readonly machine: Machine;
  private readonly isWhole: boolean;
  private readonly frame: Uint8Array;
  private readonly wanted: Uint8Array;
  private readonly answer: Uint8Array;
  private arrived = 0;
  private answered = 0;
  private expected = 0;

  /**
   * @param size of a frame
   * @param isWhole all bytes of a frame follow from its number, and are compared; otherwise its length and its number are
   * @param most frames at most
   */
  constructor(machine: Machine, size: number, isWhole: boolean, most: number) {
    this.machine = machine;
    this.isWhole = isWhole;
    const { from, to } = machine;
    this.frame = addressed(size, to, from);
    this.wanted = this.frame.slice();
    this.answer = addressed(size, from, to);
    this.seen = new Uint8Array(most);
    to.onFrame = (frame) => this.take(frame);
    from.onFrame = () => {
      this.answered++;
    };
  }

  /** Frames that never came, so far. */
  get lost(): number {
    return this.seen.subarray(0, this.sent).reduce((sum, times) => sum + (times === 0 ? 1 : 0), 0);
  }

  /** Frames that came more than once, and how often more. */
  get repeated(): number {
    return this.seen.reduce((sum, times) => sum + Math.max(0, times - 1), 0);
  }

  /** Everybody comes to rest, and the switch learns both addresses. */
  begin(): void {
    for (let turns = 0; turns < FIRST_TURNS; turns++) this.turn();
    this.ping(1);
  }

  /** Send so many frames, and wait until all are there. @throws Error for one that does not come */
  send(frames: number): void {
    const end = this.sent + frames;
    let idle = 0;
    while (this.arrived < end) {
      const before = this.arrived;
      this.offer(end);
      this.turn();
      idle = this.arrived === before ? idle + 1 : 0;
      if (idle > PATIENCE) throw new Error(`frame ${this.arrived} did not arrive`);
    }
  }

  /** Send so many frames, some of which may never come. */
  sendLossy(frames: number): void {
    const end = this.sent + frames;
    for (let idle = 0; idle < PATIENCE && (this.sent < end || this.lost > 0); idle++) {
      const before = this.arrived;
      this.offer(end);
      this.turn();
      if (this.arrived > before) idle = 0;
    }
  }

  /** Hand frames to the sender, as many as are to be under way. @param end no frame of this number or behind it */
  offer(end: number): void {
    const { from } = this.machine;
    const most = Math.min(end, this.sent + BURST, this.arrived + WINDOW);
    const before = this.sent;
    while (this.sent < most) {
      this.fill(this.frame, this.sent);
      if (!from.send(this.frame)) break;
      this.sent++;
    }
    if (this.sent > before) this.bursts++;
    from.flush();
  }

  /** One frame there, and one back, one at a time. @returns how long each took, in ms */
  ping(count: number): Float64Array {
    const { machine, frame, answer } = this;
    const times = new Float64Array(count);
    for (let n = 0; n < count; n++) {
      const begun = milliseconds();
      const { arrived, answered } = this;
      this.fill(frame, this.sent);
      this.until(() => machine.from.send(frame));
      this.sent++;
      machine.from.flush();
      this.until(() => this.arrived > arrived);
      this.until(() => machine.to.send(answer));
      machine.to.flush();
      this.until(() => this.answered > answered);
      times[n] = milliseconds() - begun;
    }
    return times;
  }

  /** Everybody's turn. @param isHere whether the guest that gets the frames runs */
  turn(isHere = true): void {
    const { machine } = this;
    const begun = milliseconds();
    machine.card();
    const between = milliseconds();
    machine.host();
    this.hostMs += milliseconds() - between;
    this.cardMs += between - begun;
    machine.from.turn();
    if (isHere) machine.to.turn();
  }

  private until(holds: () => boolean): void {
    for (let turns = 0; !holds(); turns++) {
      if (turns > PATIENCE) throw new Error('a frame did not arrive');
      this.turn();
    }
  }

  /** Make a frame the one of a number: other bytes behind the number for each. */
  private fill(frame: Uint8Array, number: number): void {
    for (let byte = 0; byte < NUMBER_BYTES; byte++) frame[NUMBER_AT + byte] = number >>> (24 - 8 * byte);
    if (!this.isWhole) return;
    let word = Math.imul(number + 1, GOLDEN);
    for (let at = BODY_AT; at < frame.length; at++) {
      word ^= word << 13;
      word ^= word >>> 17;
      word ^= word << 5;
      frame[at] = word;
    }
  }

  private take(got: Uint8Array): void {
    let number = 0;
    for (let byte = 0; byte < NUMBER_BYTES; byte++) number = number * 256 + got[NUMBER_AT + byte]!;
    let isRight = got.length === this.frame.length && number === this.expected;
    if (this.isWhole) {
      const { wanted } = this;
      this.fill(wanted, number);
      for (let at = 0; at < wanted.length && isRight; at++) isRight = got[at] === wanted[at];
      this.digest = Math.imul(this.digest ^ crc32(got), DIGEST_PRIME) >>> 0;
    }
    if (!isRight) this.wrong++;
    if (number < this.seen.length) this.seen[number]!++;
    this.arrived++;
    this.expected = number + 1;
  }
}

function addressed(size: number, to: Station, from: Station): Uint8Array {
  const frame = new Uint8Array(size);
  frame.set(to.mac);
  frame.set(from.mac, 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}
