import { monotonicMicroseconds } from '../clock.js';
import { BARS, MAIL, MESSAGE, messagesAt, type ThreadPlace, WORD, wakeDeviceThread } from './thread-words.js';

export interface RemoteDeviceOptions {
  /** False where a thread must not wait, as a browser's main thread: it spins for its answers then. */
  readonly mayBlock?: boolean;
  /** After how many ms without an answer the device counts as gone; 10,000 unless given. */
  readonly patience?: number;
}

/** What the device did to the machine since it was last asked. */
export interface RemoteEvents {
  /** An MSI-X message; many since the last time are one. */
  sendMessage?(addressLow: number, addressHigh: number, data: number): void;
  /** The level of the interrupt line or pin, when it differs from the last time: see {@link RemoteDevice.asserted} too. */
  setLevel?(asserted: boolean): void;
  /** A BAR is decoded at another address; -1: at none. */
  barMoved?(bar: number, address: number): void;
}

const TWO_32 = 0x1_0000_0000;
const SPINS = 500;
const WAIT_MS = 100;

/**
 * The host's side of a device that runs in another thread: register accesses that return when they have happened, doorbells
 * that return at once, and interrupts to be fetched. Several threads may each have one over the same place.
 */
export class RemoteDevice {
  /** The device's thread did not answer in time: reads give all ones from then on, as of a function that was pulled out. */
  gone = false;

  private readonly place: ThreadPlace;
  private readonly words: Int32Array;
  private readonly mayBlock: boolean;
  private readonly patience: number;
  private eventsSeen = 0;
  private level = false;
  private readonly barAddresses: number[] = new Array<number>(BARS).fill(-1);

  constructor(place: ThreadPlace, options: RemoteDeviceOptions = {}) {
    this.place = place;
    this.words = place.words;
    this.mayBlock = options.mayBlock !== false;
    this.patience = options.patience ?? 10_000;
  }

  /**
   * Read registers. @param space of `REGISTER_SPACE`, or a BAR's number
   * @param bytes 1, 2 or 4
   */
  read(space: number, offset: number, bytes: number): number {
    const value = this.access(false, space, offset, bytes, 0);
    return bytes === 4 ? value >>> 0 : value & (2 ** (bytes * 8) - 1);
  }

  /** Write registers. A notification rings the queue's doorbell and waits for nothing. */
  write(space: number, offset: number, bytes: number, value: number): void {
    const queue = this.kickedQueue(space, offset, bytes, value);
    if (queue < 0) this.access(true, space, offset, bytes, value);
    else this.ring(queue);
  }

  /** An available buffer notification. @param queue below the device's number of queues */
  ring(queue: number): void {
    const bit = 1 << (queue & 31);
    const before = Atomics.or(this.words, WORD.DOORBELLS + (queue >>> 5), bit);
    // Rung before and not taken yet: the thread is on its way.
    if ((before & bit) === 0) wakeDeviceThread(this.place);
  }

  /** Have the device look for work that no notification brings, such as frames. */
  wake(): void {
    wakeDeviceThread(this.place);
  }

  /** Hand on what the device did since the last call. @returns whether there was anything */
  drain(events: RemoteEvents): boolean {
    const { words } = this;
    this.eventsSeen = Atomics.load(words, WORD.EVENTS);
    let any = false;
    const slots = messagesAt(this.place);
    for (let slot = slots; slot < slots + this.place.messages * MESSAGE.SIZE; slot += MESSAGE.SIZE) {
      if (Atomics.load(words, slot + MESSAGE.PENDING) === 0) continue;
      // Read while it is pending: once it is not, the device may put another message there.
      const [low, high, data] = [words[slot + 1]! >>> 0, words[slot + 2]! >>> 0, words[slot + 3]! >>> 0];
      if (Atomics.exchange(words, slot + MESSAGE.PENDING, 0) === 0) continue;
      any = true;
      events.sendMessage?.(low, high, data);
    }
    const level = this.asserted;
    if (level !== this.level) {
      this.level = level;
      any = true;
      events.setLevel?.(level);
    }
    for (let bar = 0; bar < BARS; bar++) {
      const address = this.barAddress(bar);
      if (address === this.barAddresses[bar]) continue;
      this.barAddresses[bar] = address;
      any = true;
      events.barMoved?.(bar, address);
    }
    return any;
  }

  /** Where a BAR is decoded now, or -1; right once the write that moved it has returned. */
  barAddress(bar: number): number {
    const high = Atomics.load(this.words, WORD.BARS + bar * 2 + 1);
    return high < 0 ? -1 : high * TWO_32 + (Atomics.load(this.words, WORD.BARS + bar * 2) >>> 0);
  }

  /** Wait until there may be something to {@link drain} again. @param milliseconds at most */
  waitForEvents(milliseconds: number): void {
    Atomics.wait(this.words, WORD.EVENTS, this.eventsSeen, milliseconds);
  }

  /** The level of the interrupt line or pin now: it may have fallen and risen again since it was told. */
  get asserted(): boolean {
    return Atomics.load(this.words, WORD.LEVEL) !== 0;
  }

  /** Interrupt messages that were lost because too many different ones waited. */
  get messagesLost(): number {
    return Atomics.load(this.words, WORD.MESSAGES_LOST);
  }

  /** End the device's thread, at the end of its turn. */
  stop(): void {
    Atomics.store(this.words, WORD.STOP, 1);
    wakeDeviceThread(this.place);
  }

  private kickedQueue(space: number, offset: number, bytes: number, value: number): number {
    const { words } = this;
    const length = Atomics.load(words, WORD.KICK_LENGTH);
    const at = offset - words[WORD.KICK_OFFSET]!;
    if (!(at >= 0 && at < length) || space !== words[WORD.KICK_SPACE]) return -1;
    const multiplier = words[WORD.KICK_MULTIPLIER]!;
    const queue = multiplier > 0 ? at / multiplier : bytes === length ? value : -1;
    return Number.isInteger(queue) && queue < this.place.queues ? queue : -1;
  }

  private access(isWrite: boolean, space: number, offset: number, bytes: number, value: number): number {
    if (this.gone) return -1;
    const { words } = this;
    const until = monotonicMicroseconds() + this.patience * 1000;
    if (!this.waitFor(WORD.MAIL_LOCK, until, () => Atomics.compareExchange(words, WORD.MAIL_LOCK, 0, 1) === 0))
      return -1;
    words[WORD.IS_WRITE] = isWrite ? 1 : 0;
    words[WORD.SPACE] = space;
    words[WORD.OFFSET] = offset;
    words[WORD.BYTES] = bytes;
    words[WORD.VALUE] = value;
    Atomics.store(words, WORD.MAIL, MAIL.ASKED);
    wakeDeviceThread(this.place);
    // Without an answer the lock is kept: the mailbox may still be answered, and nobody is to take that for theirs.
    if (!this.waitFor(WORD.MAIL, until, () => Atomics.load(words, WORD.MAIL) === MAIL.ANSWERED)) return -1;
    const answer = words[WORD.VALUE]!;
    Atomics.store(words, WORD.MAIL, MAIL.IDLE);
    Atomics.store(words, WORD.MAIL_LOCK, 0);
    Atomics.notify(words, WORD.MAIL_LOCK, 1);
    return answer;
  }

  private waitFor(word: number, until: number, isDone: () => boolean): boolean {
    for (let spins = 0; !isDone(); spins++) {
      if (spins < SPINS) continue;
      if (monotonicMicroseconds() > until) {
        this.gone = true;
        return false;
      }
      // 1 is MAIL.ASKED, and a lock that somebody has.
      if (this.mayBlock) Atomics.wait(this.words, word, 1, WAIT_MS);
    }
    return true;
  }
}
