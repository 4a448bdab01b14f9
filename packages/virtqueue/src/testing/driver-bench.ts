import { formatChange, GuardedGuest, type MemorySnapshot } from '@ringwire/guest-memory/testing';
import { featureWords } from '@ringwire/virtio-spec';
import { BufferList } from '../buffer-list.js';
import type { DriverQueue } from '../driver-queue.js';
import { openDriverQueue } from '../open-queue.js';
import type { QueueConfig } from '../queue-layout.js';
import { UsedBurst } from '../used-burst.js';

/** Feature bits by hand, virtio 1.4 §6. */
export const F = { INDIRECT_DESC: 28, EVENT_IDX: 29, RING_PACKED: 34, IN_ORDER: 35 } as const;

export const LAYOUTS = ['split', 'packed'] as const;
export type Layout = (typeof LAYOUTS)[number];

export interface BenchOptions {
  readonly size: number;
  readonly features?: readonly number[];
  /** Entries of each indirect table; no tables without it. */
  readonly entries?: number;
}

/**
 * A driver queue in guarded memory and the pencil with which a test plays the device. Only the rings and the indirect
 * tables are memory here: a driver queue that reached for a buffer would find nothing.
 */
export class DriverBench {
  readonly layout: Layout;
  readonly guest: GuardedGuest;
  readonly config: QueueConfig;
  readonly queue: DriverQueue;
  readonly tables: number;
  private readonly entries: number;
  private readonly untouched: MemorySnapshot;
  /** Used elements written so far; in a packed ring, the slot of the next one and the wrap counter there. */
  private usedIdx = 0;
  private usedSlot = 0;
  private usedWrap = 1;

  constructor(layout: Layout, options: BenchOptions) {
    const { size, features = [], entries } = options;
    const page = size <= 256 ? 0x1000 : 0x10_0000;
    this.layout = layout;
    this.guest = new GuardedGuest([{ gpa: page, size: 5 * page }], { patternedRam: true });
    this.untouched = this.guest.snapshot();
    this.tables = 4 * page;
    this.entries = entries ?? 0;
    this.config = {
      space: this.guest.space,
      size,
      desc: page,
      driver: 2 * page,
      device: 3 * page,
      features: featureWords(layout === 'packed' ? [...features, F.RING_PACKED] : features),
    };
    const tables = entries === undefined ? undefined : { address: this.tables, entries };
    this.queue = openDriverQueue(this.config, tables);
  }

  /** Bytes as hexadecimal, in groups: `show(at, 4, 2, 2)` gives `00300000 0200 0000`. */
  show(gpa: number, ...groups: number[]): string {
    let at = gpa;
    return groups
      .map((length) => {
        at += length;
        return Buffer.from(this.guest.read(at - length, length)).toString('hex');
      })
      .join(' ');
  }

  /** Write bytes given as hexadecimal. */
  poke(gpa: number, hex: string): void {
    this.guest.write(gpa, Buffer.from(hex.replaceAll(' ', ''), 'hex'));
  }

  poke16(gpa: number, value: number): void {
    this.guest.write(gpa, Uint8Array.of(value & 0xff, (value >>> 8) & 0xff));
  }

  poke32(gpa: number, value: number): void {
    this.poke16(gpa, value & 0xffff);
    this.poke16(gpa + 2, value >>> 16);
  }

  peek16(gpa: number): number {
    const [low, high] = this.guest.read(gpa, 2);
    return low! | (high! << 8);
  }

  /** A descriptor: addr, len, then flags and next (split) or id and flags (packed). */
  desc(index: number): string {
    return this.show(this.config.desc + 16 * index, 8, 4, 2, 2);
  }

  /** An entry of an indirect table. */
  entry(id: number, entries: number, index: number): string {
    return this.show(this.tables + 16 * (id * entries + index), 8, 4, 2, 2);
  }

  /** Split: flags, idx and the ring of the driver area. */
  avail(): string {
    return this.show(this.config.driver, ...new Array<number>(2 + this.config.size).fill(2));
  }

  /** Packed: desc and flags of the driver's event suppression. Split: used_event. */
  driverEvent(): string {
    if (this.layout === 'packed') return this.show(this.config.driver, 2, 2);
    return this.show(this.config.driver + 4 + 2 * this.config.size, 2);
  }

  /** Split: write a used element where the index says, whatever it says, without showing it. */
  writeUsedElement(index: number, id: number, length: number): void {
    const at = this.config.device + 4 + 8 * (index & (this.config.size - 1));
    this.poke32(at, id);
    this.poke32(at + 4, length);
  }

  setUsedIdx(value: number): void {
    this.poke16(this.config.device + 2, value);
  }

  /** Packed: write a used descriptor; the address stays as it is. */
  writeUsedDescriptor(slot: number, id: number, length: number, flags: number): void {
    const at = this.config.desc + 16 * slot;
    this.poke32(at + 8, length);
    this.poke16(at + 12, id);
    this.poke16(at + 14, flags);
  }

  /**
   * Use a buffer, or with IN_ORDER a batch that it is the last of, as the specification wants it.
   * @param span split: buffers of the batch; packed: ring slots of all of them
   */
  use(id: number, length: number, span = 1): void {
    if (this.layout === 'split') {
      this.writeUsedElement(this.usedIdx, id, length);
      this.usedIdx = (this.usedIdx + span) & 0xffff;
      this.setUsedIdx(this.usedIdx);
      return;
    }
    // AVAIL and USED alike, and WRITE when something was written.
    const flags = (this.usedWrap === 1 ? 0x8080 : 0) | (length > 0 ? 2 : 0);
    this.writeUsedDescriptor(this.usedSlot, id, length, flags);
    this.usedSlot += span;
    if (this.usedSlot >= this.config.size) {
      this.usedSlot -= this.config.size;
      this.usedWrap ^= 1;
    }
  }

  /** All used buffers, as `[id, written, outcome]`. */
  take(max = 0xffff): [number, number, number][] {
    return outcomes(this.queue, max);
  }

  /** What was changed outside the queue's own parts since before it was opened: to be empty. */
  strayChanges(): string[] {
    const { size, desc, driver, device } = this.config;
    const packed = this.layout === 'packed';
    const allowed = [
      { gpa: desc, length: 16 * size },
      { gpa: driver, length: packed ? 4 : 6 + 2 * size },
      { gpa: device, length: packed ? 4 : 6 + 8 * size },
      { gpa: this.tables, length: 16 * size * this.entries },
    ];
    return this.guest.changesOutside(this.untouched, allowed).map(formatChange);
  }
}

/** Take used buffers as `[id, written, outcome]`. */
export function outcomes(queue: DriverQueue, max = 0xffff): [number, number, number][] {
  const burst = new UsedBurst(queue.size);
  queue.takeUsed(burst, max);
  return Array.from({ length: burst.count }, (_, i) => [burst.token[i]!, burst.written[i]!, burst.outcome[i]!]);
}

type Element = readonly [address: number, length: number];

/** A list of device-readable and device-writable elements. */
export function bufferOf(readable: readonly Element[], writable: readonly Element[] = []): BufferList {
  const buffer = new BufferList(Math.max(1, readable.length + writable.length));
  for (const [address, length] of readable) buffer.addReadable(address, length);
  for (const [address, length] of writable) buffer.addWritable(address, length);
  return buffer;
}
