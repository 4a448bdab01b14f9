import { VirtioError } from '@ringwire/virtio-spec';
import { EventCounter } from './event-counter.js';

const PAGE_BYTES = 4096;
const HERE = 'PinMap';

/** Whose memory is pinned, and how much of it may be: RLIMIT_MEMLOCK of one process. */
export class PinAccount {
  readonly name: string;
  /** Bytes that may be pinned at a time. */
  readonly limit: number;
  /** Bytes pinned now. A page that two pins hold counts twice, as with VFIO's type 1. */
  pinnedBytes = 0;
  /** Pins refused because of the limit. */
  refused = 0;

  /** @param limit bytes; Infinity for none */
  constructor(name: string, limit: number) {
    if (!(limit >= 0)) throw new VirtioError('limit', limit, '0 bytes or more', HERE);
    this.name = name;
    this.limit = limit;
  }
}

/** One hold on a stretch of physical memory. */
export interface Pin {
  readonly physical: number;
  readonly bytes: number;
  readonly account: PinAccount;
  /** Who or what for. */
  readonly label: string;
  /** Number of the event that pinned it. */
  readonly since: number;
}

/** Physical memory that the same pins hold. */
export interface PinnedRun {
  readonly physical: number;
  readonly bytes: number;
  /** Oldest first. */
  readonly pins: readonly Pin[];
}

interface Run {
  start: number;
  end: number;
  pins: readonly Pin[];
}

/**
 * Which pages of physical memory devices can reach, and so may be neither given to anyone else nor moved: by whom, since
 * when, and how often. Kept as runs of pages that the same pins hold, so that its size is that of the pins and not of
 * the memory.
 */
export class PinMap {
  readonly events: EventCounter;
  /** Bytes that at least one pin holds, each counted once. */
  pinnedBytes = 0;

  private readonly pins = new Set<Pin>();
  /** By address; no two overlap, and none is empty. */
  private readonly runs: Run[] = [];

  constructor(events: EventCounter = new EventCounter()) {
    this.events = events;
  }

  /**
   * Hold `[physical, physical + bytes)`, whole pages of 4 KiB.
   * @returns undefined, with nothing pinned, when it would take the account past its limit
   */
  pin(account: PinAccount, physical: number, bytes: number, label: string): Pin | undefined {
    checkPages(physical, bytes);
    if (account.pinnedBytes + bytes > account.limit) {
      account.refused++;
      return undefined;
    }
    const pin: Pin = { physical, bytes, account, label, since: this.events.next() };
    this.pins.add(pin);
    account.pinnedBytes += bytes;
    this.change(physical, physical + bytes, (held) => [...held, pin]);
    return pin;
  }

  /** Let go of what one `pin` holds. @throws VirtioError when it was let go of before */
  unpin(pin: Pin): void {
    if (!this.pins.delete(pin)) throw new VirtioError('pin', pin.label, 'one that is still held', HERE);
    this.events.next();
    pin.account.pinnedBytes -= pin.bytes;
    this.change(pin.physical, pin.physical + pin.bytes, (held) => held.filter((other) => other !== pin));
  }

  /** Whether a device may still reach any byte of the range: then its pages can't be given up, swapped or moved. */
  isPinned(physical: number, bytes: number): boolean {
    const run = this.runs[this.indexOf(physical)];
    return run !== undefined && run.start < physical + bytes;
  }

  /** Who holds any byte of a range: each pin once, oldest first. */
  pinsOf(physical: number, bytes: number): Pin[] {
    const found = new Set<Pin>();
    for (let i = this.indexOf(physical); i < this.runs.length && this.runs[i]!.start < physical + bytes; i++)
      for (const pin of this.runs[i]!.pins) found.add(pin);
    return [...found].sort((a, b) => a.since - b.since);
  }

  /** Everything that is pinned, by address. */
  *list(): Generator<PinnedRun> {
    for (const { start, end, pins } of this.runs) yield { physical: start, bytes: end - start, pins };
  }

  /** Index of the first run that ends behind an address. */
  private indexOf(address: number): number {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.runs[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Give every page of a range other pins, and join what is then alike. */
  private change(start: number, end: number, to: (held: readonly Pin[]) => readonly Pin[]): void {
    const first = this.indexOf(start);
    const cut: Run[] = [];
    let next = first;
    let at = start;
    for (let run = this.runs[next]; run !== undefined && run.start < end; run = this.runs[++next]) {
      if (run.start < start) cut.push({ start: run.start, end: start, pins: run.pins });
      if (run.start > at) this.add(cut, at, run.start, to([]));
      const from = Math.max(run.start, start);
      at = Math.min(run.end, end);
      this.pinnedBytes -= at - from;
      this.add(cut, from, at, to(run.pins));
      if (run.end > end) cut.push({ start: end, end: run.end, pins: run.pins });
    }
    if (at < end) this.add(cut, at, end, to([]));
    // The neighbours may be joined as well.
    const from = Math.max(first - 1, 0);
    const upTo = Math.min(next + 1, this.runs.length);
    const all = [...this.runs.slice(from, first), ...cut, ...this.runs.slice(next, upTo)];
    this.runs.splice(from, upTo - from, ...joined(all));
  }

  private add(runs: Run[], start: number, end: number, pins: readonly Pin[]): void {
    if (pins.length === 0) return;
    this.pinnedBytes += end - start;
    runs.push({ start, end, pins });
  }
}

function joined(runs: readonly Run[]): Run[] {
  const out: Run[] = [];
  for (const run of runs) {
    const before = out.at(-1);
    if (before !== undefined && before.end === run.start && isSame(before.pins, run.pins)) before.end = run.end;
    else out.push({ ...run });
  }
  return out;
}

const isSame = (a: readonly Pin[], b: readonly Pin[]): boolean =>
  a.length === b.length && a.every((pin, i) => pin === b[i]);

function checkPages(physical: number, bytes: number): void {
  if (!Number.isSafeInteger(physical) || physical < 0 || physical % PAGE_BYTES !== 0)
    throw new VirtioError('physical', physical, 'a multiple of 4096 below 2^53', HERE);
  if (!Number.isSafeInteger(bytes) || bytes < PAGE_BYTES || bytes % PAGE_BYTES !== 0)
    throw new VirtioError('bytes', bytes, 'a positive multiple of 4096', HERE);
  if (!Number.isSafeInteger(physical + bytes))
    throw new VirtioError('physical', physical, `an end with ${bytes} bytes below 2^53`, HERE);
}
