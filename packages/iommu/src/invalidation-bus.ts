import { VirtioError } from '@ringwire/virtio-spec';
import type { InvalidationSink } from './translation.js';

/** Words of shared memory that a bus needs, 4 bytes each. */
export const BUS_WORDS: number = 16 + 64 * 16 + 256 * 8;

// The bus's own words, then one cache line for each thread, then the log.
const EPOCH = 0;
const LOCK = 1;
const OWNERS = 2;
const THREADS = 16;
const THREAD_WORDS = 16;
const THREADS_MAX = 64;
// Within a thread's line.
const OWNED = 0;
const BURSTS = 1;
const LOG = THREADS + THREADS_MAX * THREAD_WORDS;
const LOG_RECORDS = 256;
const RECORD_WORDS = 8;
const WORD = 0x1_0000_0000;

const KIND = { ALL: 0, DOMAIN: 1, PAGES: 2, REQUESTER: 3, DEVICE_TLB: 4 } as const;
/** Looks at a thread's word before the invalidating one sleeps on it instead. */
const SPINS = 2000;
const NOBODY = -1;
/** What lines and locks of a thread say that has no number: nobody can take them from it. */
export const ANY_OWNER = 1;

/** What has to forget; a device's own cache is told of its own invalidations besides. */
export interface ForgetTarget extends InvalidationSink {
  /**
   * @param pasid        or NO_PASID for all of them
   * @param address,mask `address` to `address + mask`; everything when mask is Infinity
   */
  deviceTlb?(sourceId: number, pasid: number, address: number, mask: number): void;
}

/**
 * Invalidations between threads. Whoever voids translations publishes it here and waits until every device thread is
 * between two bursts; a device thread reads what was published before it begins the next one. So, when a call of the
 * {@link InvalidationSink} returns, no later DMA uses what it named: not from a cache, not from a burst under way.
 *
 * Each thread makes its own bus over the same words, for all its caches.
 */
export class InvalidationBus implements InvalidationSink {
  private readonly words: Int32Array;
  /** Caches of this thread, and how many users each has. */
  private readonly users = new Map<ForgetTarget, number>();
  private targets: readonly ForgetTarget[] = [];
  /** Index of this thread's line, or NOBODY while it has no caches. */
  private line: number = NOBODY;
  /** Bursts begun and not ended. */
  private depth = 0;
  /** Odd in a burst. */
  private bursts = 0;
  private seen = 0;
  private readonly owner: number;

  /**
   * @param words BUS_WORDS words, shared between the threads, zero at first
   * @param owner from {@link newBusOwner}, for a thread that may be ended from outside; one that has none ends itself
   */
  constructor(words: Int32Array, owner: number = ANY_OWNER) {
    if (words.length < BUS_WORDS)
      throw new VirtioError('words', words.length, `${BUS_WORDS} or more`, 'InvalidationBus');
    this.words = words;
    this.owner = owner;
  }

  /**
   * Have a cache of this thread told, as often as it joins only once.
   * @throws VirtioError when 64 threads are there already
   */
  join(target: ForgetTarget): void {
    if (this.line === NOBODY) this.claimLine();
    this.users.set(target, (this.users.get(target) ?? 0) + 1);
    this.targets = [...this.users.keys()];
  }

  /** Take one {@link join} back. A thread without caches is waited for no more, be it in a burst. */
  quit(target: ForgetTarget): void {
    const left = (this.users.get(target) ?? 0) - 1;
    if (left > 0) this.users.set(target, left);
    else this.users.delete(target);
    this.targets = [...this.users.keys()];
    if (this.targets.length > 0 || this.line === NOBODY) return;
    while (this.depth > 0) this.leave();
    Atomics.store(this.words, this.line + OWNED, 0);
    this.line = NOBODY;
  }

  /** Whether this thread is in a burst. */
  get inBurst(): boolean {
    return this.depth > 0;
  }

  /**
   * Begin a burst, with everything forgotten that was published before. Inside another burst of the thread it is a part of
   * that one.
   * @returns the epoch that the burst sees: invalidations published until then
   */
  enter(): number {
    if (this.depth++ === 0 && this.line !== NOBODY) this.begin();
    return this.seen;
  }

  leave(): void {
    if (this.depth === 0 || --this.depth > 0 || this.line === NOBODY) return;
    this.bursts = (this.bursts + 1) | 0;
    // No notify, which would cost every burst some 100 ns: whoever waits looks again within a millisecond.
    Atomics.store(this.words, this.line + BURSTS, this.bursts);
  }

  /** Invalidations published so far, modulo 2^32. */
  get epoch(): number {
    return Atomics.load(this.words, EPOCH);
  }

  all(keep = 0): void {
    this.publish(KIND.ALL, 0, 0, 0, keep);
  }

  domain(domain: number, keep = 0): void {
    this.publish(KIND.DOMAIN, domain, 0, 0, keep);
  }

  pages(domain: number, address: number, mask: number, keep = 0): void {
    this.publish(KIND.PAGES, domain, address, mask, keep);
  }

  requester(sourceId: number): void {
    this.publish(KIND.REQUESTER, sourceId, 0, 0, 0);
  }

  /** The caches of one device, see {@link ForgetTarget.deviceTlb}. */
  deviceTlb(sourceId: number, pasid: number, address: number, mask: number): void {
    this.publish(KIND.DEVICE_TLB, sourceId, address, Math.min(mask, Number.MAX_SAFE_INTEGER), pasid);
  }

  private begin(): void {
    this.bursts = (this.bursts + 1) | 0;
    // The store before the load: whoever publishes after this load finds the burst and waits for it.
    Atomics.store(this.words, this.line + BURSTS, this.bursts);
    const epoch = Atomics.load(this.words, EPOCH);
    if (epoch !== this.seen) this.catchUp(epoch);
  }

  private claimLine(): void {
    for (let index = 0; index < THREADS_MAX; index++) {
      const line = THREADS + index * THREAD_WORDS;
      if (Atomics.compareExchange(this.words, line + OWNED, 0, this.owner) !== 0) continue;
      this.line = line;
      this.bursts = Atomics.load(this.words, line + BURSTS);
      this.seen = Atomics.load(this.words, EPOCH);
      if (this.depth > 0) this.begin();
      return;
    }
    throw new VirtioError('threads', THREADS_MAX + 1, `at most ${THREADS_MAX}`, 'InvalidationBus');
  }

  /** @param more what KIND needs besides: `keep`, or a PASID */
  private publish(kind: number, id: number, address: number, mask: number, more: number): void {
    // Waiting for this thread's own burst would keep it from ending.
    if (this.inBurst) throw new VirtioError('burst', 1, 'no invalidation inside this thread’s own burst', 'IOMMU');
    const words = this.words;
    takeLock(words, LOCK, this.owner);
    const epoch = Atomics.load(words, EPOCH);
    const record = LOG + (epoch & (LOG_RECORDS - 1)) * RECORD_WORDS;
    words[record] = kind;
    words[record + 1] = id;
    words[record + 2] = address | 0;
    words[record + 3] = Math.floor(address / WORD);
    words[record + 4] = mask | 0;
    words[record + 5] = Math.floor(mask / WORD);
    words[record + 6] = more;
    Atomics.store(words, EPOCH, (epoch + 1) | 0);
    Atomics.store(words, LOCK, 0);
    Atomics.notify(words, LOCK);
    for (let index = 0; index < THREADS_MAX; index++) {
      const bursts = THREADS + index * THREAD_WORDS + BURSTS;
      const now = Atomics.load(words, bursts);
      // Odd: in a burst that may have begun before the epoch moved on. One that begins later sees it.
      if ((now & 1) !== 0) waitWhile(words, bursts, now);
    }
  }

  private catchUp(epoch: number): void {
    const from = this.seen;
    this.seen = epoch;
    if ((epoch - from) >>> 0 >= LOG_RECORDS) {
      this.forgetAll();
      return;
    }
    for (let at = from; at !== epoch; at = (at + 1) | 0) {
      const record = LOG + (at & (LOG_RECORDS - 1)) * RECORD_WORDS;
      for (const target of this.targets) this.apply(record, target);
    }
    // Publishers may have come round the log meanwhile and written over a record while it was read; the one whose epoch
    // has not moved on yet too.
    if ((Atomics.load(this.words, EPOCH) - from) >>> 0 >= LOG_RECORDS) this.forgetAll();
  }

  private forgetAll(): void {
    for (const target of this.targets) target.all();
  }

  private apply(record: number, target: ForgetTarget): void {
    const words = this.words;
    const id = words[record + 1]!;
    const address = (words[record + 2]! >>> 0) + words[record + 3]! * WORD;
    const mask = (words[record + 4]! >>> 0) + words[record + 5]! * WORD;
    const more = words[record + 6]!;
    switch (words[record]) {
      case KIND.DOMAIN:
        target.domain(id, more);
        break;
      case KIND.PAGES:
        target.pages(id, address, mask, more);
        break;
      case KIND.REQUESTER:
        target.requester(id);
        break;
      case KIND.DEVICE_TLB:
        target.deviceTlb?.(id, more, address, mask);
        break;
      default:
        target.all(more);
    }
  }
}

/** A number for a thread that may be ended from outside, to be given to its bus before it runs. @param words of the bus */
export const newBusOwner = (words: Int32Array): number => newOwner(words, OWNERS);

/**
 * A thread was ended: whoever invalidates waits for its burst no more, nor for the lock that it held, and its line is
 * another's. Nothing that it was in the middle of is left half done: a record of the log counts once the epoch moves on, and
 * only whoever asked for an invalidation waits for it. The thread must not run again.
 * @param owner its number; one that left nothing behind does no harm
 */
export function evictThread(words: Int32Array, owner: number): void {
  for (let index = 0; index < THREADS_MAX; index++) {
    const line = THREADS + index * THREAD_WORDS;
    if (Atomics.load(words, line + OWNED) !== owner) continue;
    const bursts = Atomics.load(words, line + BURSTS);
    if ((bursts & 1) !== 0) Atomics.store(words, line + BURSTS, (bursts + 1) | 0);
    Atomics.store(words, line + OWNED, 0);
    Atomics.notify(words, line + BURSTS);
  }
  releaseLock(words, LOCK, owner);
}

/** What a device's address space needs of a bus. */
export type BurstBus = Pick<InvalidationBus, 'enter' | 'leave' | 'join' | 'quit'>;

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

/** Counts up the word at `index`: numbers that no other thread has, and that are not {@link ANY_OWNER}. */
export function newOwner(words: Int32Array, index: number): number {
  return ANY_OWNER + 1 + (Atomics.add(words, index, 1) & 0x3fff_ffff);
}

/** Take a lock that says who holds it, so that it can be taken from a thread that died. */
export function takeLock(words: Int32Array, index: number, owner: number): void {
  for (;;) {
    const holder = Atomics.compareExchange(words, index, 0, owner);
    if (holder === 0) return;
    waitWhile(words, index, holder);
  }
}

/** Give a lock back that a thread holds, or held when it died. @returns whether it did */
export function releaseLock(words: Int32Array, index: number, owner: number): boolean {
  if (Atomics.compareExchange(words, index, owner, 0) !== owner) return false;
  Atomics.notify(words, index);
  return true;
}
