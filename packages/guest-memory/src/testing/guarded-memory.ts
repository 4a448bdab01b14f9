import { VirtioError } from '@ringwire/virtio-spec';
import { GuestMemory, type GuestRegion } from '../guest-memory.js';
import { HostMemory } from '../host-memory.js';

/** One region of the guest's RAM; where it lies in host memory is the guarded guest's business. */
export interface GuardedRegion {
  readonly gpa: number;
  readonly size: number;
  readonly readOnly?: boolean;
}

/** How a guarded guest's memory begins, and how wide its guards are. */
export interface GuardedGuestOptions {
  /** Bytes of guard on each side of a region, at least; 4096 unless given. */
  readonly guard?: number;
  /** RAM starts as this pattern rather than as zeros, so that a stray zero written is seen too. */
  readonly patternedRam?: boolean;
}

/** Guest-physical bytes `[gpa, gpa + length)`. */
export interface GuestRange {
  readonly gpa: number;
  readonly length: number;
}

/** All of the memory at one time, to be given back to the guest that took it. */
export interface MemorySnapshot {
  readonly bytes: Uint8Array;
}

/** Consecutive bytes that differ. */
export interface MemoryChange {
  /** Guest-physical address; bytes of a guard lie before or after their region, below zero perhaps. */
  readonly gpa: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** The bytes belong to no region: nobody may change them. */
  readonly guard: boolean;
}

/** The bytes of host memory that are told from one region's address: the region and the guards around it. */
interface Zone {
  readonly region: GuestRegion;
  readonly start: number;
  readonly end: number;
}

const HERE = 'GuardedGuest';
const PAGE = 4096;

/**
 * A guest for tests, whose every region has guard bytes of a known pattern before and behind it in host memory: it
 * tells which bytes a device changed, in RAM and beyond it. No two regions are neighbours in host memory, so a range
 * over the border of two that are neighbours for the guest is always split.
 */
export class GuardedGuest {
  readonly memory: HostMemory;
  readonly space: GuestMemory;
  readonly #zones: readonly Zone[];

  constructor(regions: readonly GuardedRegion[], options: GuardedGuestOptions = {}) {
    const guard = options.guard ?? 4096;
    if (!Number.isSafeInteger(guard) || guard < 1) {
      throw new VirtioError('guard', guard, 'an integer from 1 on', HERE);
    }
    const placed: GuestRegion[] = [];
    const starts: number[] = [];
    let end = 0;
    for (const region of regions) {
      starts.push(end);
      // The guest's alignment holds in the host as well, up to a page.
      const host = end + guard + ((((region.gpa - end - guard) % PAGE) + PAGE) % PAGE);
      placed.push({ ...region, host });
      end = host + region.size + guard;
    }
    this.memory = HostMemory.create(Math.max(end, 1));
    this.space = new GuestMemory(this.memory, placed);
    // The last zone takes what rounding to whole pages added.
    this.#zones = placed.map((region, index) => {
      return { region, start: starts[index]!, end: starts[index + 1] ?? this.memory.size };
    });
    fillPattern(this.memory.u8, 0, this.memory.size);
    if (options.patternedRam === true) return;
    for (const { host, size } of placed) this.memory.engine.fill(host, 0, size);
  }

  read(gpa: number, length: number): Uint8Array {
    return this.space.read(gpa, length);
  }

  write(gpa: number, bytes: Uint8Array): void {
    this.space.write(gpa, bytes);
  }

  snapshot(): MemorySnapshot {
    return { bytes: this.memory.u8.slice() };
  }

  /**
   * What differs now, in order of the regions as given. RAM is compared with the snapshot, guards with their pattern:
   * damage done before the snapshot shows as well.
   */
  changes(since: MemorySnapshot): MemoryChange[] {
    const now = this.memory.u8;
    if (since.bytes.length !== now.length) {
      throw new VirtioError('since.bytes.length', since.bytes.length, `this memory's ${now.length}`, HERE);
    }
    const changes: MemoryChange[] = [];
    for (const { region, start, end } of this.#zones) {
      const ramEnd = region.host + region.size;
      const guardBefore = new Uint8Array(region.host - start);
      const guardBehind = new Uint8Array(end - ramEnd);
      fillPattern(guardBefore, start, guardBefore.length);
      fillPattern(guardBehind, ramEnd, guardBehind.length);
      const gpaOf = (offset: number): number => region.gpa + (offset - region.host);
      compare(guardBefore, now.subarray(start, region.host), gpaOf(start), true, changes);
      compare(since.bytes.subarray(region.host, ramEnd), now.subarray(region.host, ramEnd), region.gpa, false, changes);
      compare(guardBehind, now.subarray(ramEnd, end), gpaOf(ramEnd), true, changes);
    }
    return changes;
  }

  /**
   * The changes that were not asked for: every change of a guard, and of RAM every byte outside the allowed ranges.
   * An empty list is the proof that only the allowed bytes were touched.
   */
  changesOutside(since: MemorySnapshot, allowed: readonly GuestRange[]): MemoryChange[] {
    const outside: MemoryChange[] = [];
    for (const change of this.changes(since)) {
      if (change.guard) {
        outside.push(change);
        continue;
      }
      let first = 0;
      for (let at = 0; at <= change.after.length; at++) {
        if (at < change.after.length && !covers(allowed, change.gpa + at)) continue;
        if (at > first) outside.push(partOf(change, first, at));
        first = at + 1;
      }
    }
    return outside;
  }
}

/** A change as one line: `0x1010: 00 00 -> 01 02`, with `guard` in front where nobody may write. */
export function formatChange(change: MemoryChange): string {
  const address = `${change.gpa < 0 ? '-' : ''}0x${Math.abs(change.gpa).toString(16)}`;
  return `${change.guard ? 'guard ' : ''}${address}: ${hexOf(change.before)} -> ${hexOf(change.after)}`;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Each byte says where it lies, so that a guard's bytes copied elsewhere or shifted are told from untouched ones. */
function fillPattern(bytes: Uint8Array, offset: number, length: number): void {
  for (let at = 0; at < length; at++) bytes[at] = patternAt(offset + at);
}

function patternAt(offset: number): number {
  return (0xa5 + offset * 29 + (offset >>> 8) * 7) & 0xff;
}

function compare(before: Uint8Array, after: Uint8Array, gpa: number, guard: boolean, changes: MemoryChange[]): void {
  for (let at = 0; at < before.length; at++) {
    if (before[at] === after[at]) continue;
    const first = at;
    while (at < before.length && before[at] !== after[at]) at++;
    changes.push({ gpa: gpa + first, before: before.slice(first, at), after: after.slice(first, at), guard });
  }
}

function covers(ranges: readonly GuestRange[], gpa: number): boolean {
  return ranges.some((range) => gpa >= range.gpa && gpa < range.gpa + range.length);
}

function partOf(change: MemoryChange, first: number, end: number): MemoryChange {
  return {
    gpa: change.gpa + first,
    before: change.before.slice(first, end),
    after: change.after.slice(first, end),
    guard: change.guard,
  };
}
