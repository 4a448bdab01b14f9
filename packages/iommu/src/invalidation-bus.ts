import { VirtioError } from '@ringwire/virtio-spec';
import type { InvalidationSink } from './translation.js';

/** Words of shared memory that a bus needs, 4 bytes each. */
export const BUS_WORDS: number = 16 + 64 * 16 + 256 * 8;

// The bus's own words, then one cache line for each member, then the log.
const EPOCH = 0;
const LOCK = 1;
const MEMBERS = 16;
const MEMBER_WORDS = 16;
const MEMBERS_MAX = 64;
// Within a member's line.
const OWNED = 0;
const BURSTS = 1;
const LOG = MEMBERS + MEMBERS_MAX * MEMBER_WORDS;
const LOG_RECORDS = 256;
const RECORD_WORDS = 8;

const KIND = { ALL: 0, DOMAIN: 1, PAGES: 2, REQUESTER: 3 } as const;
/** Looks at a member's word before the invalidating thread sleeps on it instead. */
const SPINS = 2000;

/** What a member's caches have to forget. */
export type ForgetTarget = InvalidationSink;

/**
 * Invalidations between threads. Whoever voids translations publishes it here and waits until every device thread is
 * between two bursts; a device thread reads what was published before it begins the next one. So, when a call of the
 * {@link InvalidationSink} returns, no later DMA uses what it named: not from a cache, not from a burst under way.
 *
 * Each thread makes its own bus over the same words.
 */
export class InvalidationBus implements InvalidationSink {
  private readonly words: Int32Array;
  /** This thread's members: they cannot be waited for, because waiting would keep them from ending their burst. */
  private readonly own = new Set<BusMember>();

  /** @param words BUS_WORDS words, shared between the threads, zero at first */
  constructor(words: Int32Array) {
    if (words.length < BUS_WORDS)
      throw new VirtioError('words', words.length, `${BUS_WORDS} or more`, 'InvalidationBus');
    this.words = words;
  }

  /** Take part with caches of this thread. @throws VirtioError when 64 members are there already */
  join(target: ForgetTarget): BusMember {
    for (let index = 0; index < MEMBERS_MAX; index++) {
      const line = MEMBERS + index * MEMBER_WORDS;
      if (Atomics.compareExchange(this.words, line + OWNED, 0, 1) !== 0) continue;
      const member = new BusMember(this.words, line, target, () => this.own.delete(member));
      this.own.add(member);
      return member;
    }
    throw new VirtioError('members', MEMBERS_MAX + 1, `at most ${MEMBERS_MAX}`, 'InvalidationBus');
  }

  /** Invalidations published so far, modulo 2^32. */
  get epoch(): number {
    return Atomics.load(this.words, EPOCH);
  }

  all(): void {
    this.publish(KIND.ALL, 0, 0, 0);
  }

  domain(domain: number): void {
    this.publish(KIND.DOMAIN, domain, 0, 0);
  }

  pages(domain: number, address: number, mask: number): void {
    this.publish(KIND.PAGES, domain, address, mask);
  }

  requester(sourceId: number): void {
    this.publish(KIND.REQUESTER, sourceId, 0, 0);
  }

  private publish(kind: number, id: number, address: number, mask: number): void {
    for (const member of this.own) {
      if (member.inBurst) throw new VirtioError('burst', 1, 'no invalidation inside this thread’s own burst', 'IOMMU');
    }
    const words = this.words;
    while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0) waitWhile(words, LOCK, 1);
    const epoch = Atomics.load(words, EPOCH);
    const record = LOG + (epoch & (LOG_RECORDS - 1)) * RECORD_WORDS;
    words[record] = kind;
    words[record + 1] = id;
    words[record + 2] = address | 0;
    words[record + 3] = Math.floor(address / 0x1_0000_0000);
    words[record + 4] = mask | 0;
    words[record + 5] = Math.floor(mask / 0x1_0000_0000);
    Atomics.store(words, EPOCH, (epoch + 1) | 0);
    Atomics.store(words, LOCK, 0);
    Atomics.notify(words, LOCK);
    for (let index = 0; index < MEMBERS_MAX; index++) {
      const bursts = MEMBERS + index * MEMBER_WORDS + BURSTS;
      const now = Atomics.load(words, bursts);
      // Odd: in a burst that may have begun before the epoch moved on. One that begins later sees it.
      if ((now & 1) !== 0) waitWhile(words, bursts, now);
    }
  }
}

/** One user of translations on one thread, see {@link InvalidationBus.join}. */
export class BusMember {
  private readonly words: Int32Array;
  private readonly line: number;
  private readonly target: ForgetTarget;
  private readonly onLeave: () => void;
  private seen: number;
  private bursts: number;

  constructor(words: Int32Array, line: number, target: ForgetTarget, onLeave: () => void) {
    this.words = words;
    this.line = line;
    this.target = target;
    this.onLeave = onLeave;
    this.seen = Atomics.load(words, EPOCH);
    this.bursts = Atomics.load(words, line + BURSTS);
  }

  get inBurst(): boolean {
    return (this.bursts & 1) !== 0;
  }

  /** Begin a burst, with everything forgotten that was published before. @returns the epoch that it sees */
  enter(): number {
    this.bursts = (this.bursts + 1) | 0;
    // The store before the load: whoever publishes after this load finds the burst and waits for it.
    Atomics.store(this.words, this.line + BURSTS, this.bursts);
    const epoch = Atomics.load(this.words, EPOCH);
    if (epoch !== this.seen) this.catchUp(epoch);
    return epoch;
  }

  leave(): void {
    this.bursts = (this.bursts + 1) | 0;
    // No notify, which would cost every burst some 100 ns: whoever waits looks again within a millisecond.
    Atomics.store(this.words, this.line + BURSTS, this.bursts);
  }

  /** Take no part any more. */
  quit(): void {
    if (this.inBurst) this.leave();
    Atomics.store(this.words, this.line + OWNED, 0);
    this.onLeave();
  }

  private catchUp(epoch: number): void {
    const missed = (epoch - this.seen) >>> 0;
    if (missed > LOG_RECORDS) this.target.all();
    else {
      for (let at = this.seen; at !== epoch; at = (at + 1) | 0)
        this.apply(LOG + (at & (LOG_RECORDS - 1)) * RECORD_WORDS);
      // Publishers may have come round the log meanwhile and written over a record while it was read.
      if ((Atomics.load(this.words, EPOCH) - this.seen) >>> 0 > LOG_RECORDS) this.target.all();
    }
    this.seen = epoch;
  }

  private apply(record: number): void {
    const words = this.words;
    const id = words[record + 1]!;
    const address = (words[record + 2]! >>> 0) + words[record + 3]! * 0x1_0000_0000;
    const mask = (words[record + 4]! >>> 0) + words[record + 5]! * 0x1_0000_0000;
    switch (words[record]) {
      case KIND.DOMAIN:
        this.target.domain(id);
        break;
      case KIND.PAGES:
        this.target.pages(id, address, mask);
        break;
      case KIND.REQUESTER:
        this.target.requester(id);
        break;
      default:
        this.target.all();
    }
  }
}

/** Wait until a word is something else; sleeping where the platform lets a thread sleep. */
function waitWhile(words: Int32Array, index: number, value: number): void {
  for (let spins = 0; Atomics.load(words, index) === value; spins++) {
    if (spins < SPINS || !(words.buffer instanceof SharedArrayBuffer)) continue;
    try {
      Atomics.wait(words, index, value, 1);
    } catch {
      // A browser's main thread may not sleep: it goes on looking.
    }
  }
}
