import type { GuestRange } from '@ringwire/guest-memory/testing';
import {
  AVAIL_0,
  AVAIL_1,
  descriptor,
  hostOffset,
  INDIRECT,
  NEXT,
  PackedBytes,
  type PokedGuest,
  type RingPlace,
  SplitBytes,
} from './ring-bytes.js';

export type Layout = 'split' | 'packed';

/** One descriptor's worth of a buffer. NEXT and the marks of a packed ring are added when it is offered. */
export interface Element {
  readonly addr: number | bigint;
  readonly len: number;
  readonly flags?: number;
}

export interface UsedBuffer {
  readonly id: number;
  readonly len: number;
}

/**
 * A driver too simple to be wrong: descriptors one behind the other, round and round. It takes what it is told, however
 * hostile, and looks after nothing but its own place in the ring.
 */
interface HandRing {
  readonly layout: Layout;
  /** Zero the parts and start again, as after a reset. */
  reset(): void;
  /** Make one buffer available. @returns its id: the head, or the number of the buffer in a packed ring */
  offer(elements: readonly Element[]): number;
  /** Write an indirect table with these elements. @returns the element that points to it */
  table(gpa: number, elements: readonly Element[]): Element;
  /** Buffers used since the last call, in the device's order. Without IN_ORDER. */
  collect(): UsedBuffer[];
  /** All bytes of the queue that the device may change. */
  deviceBytes(): GuestRange[];
}

export function handRing(layout: Layout, guest: PokedGuest, size: number, place: RingPlace): HandSplit | HandPacked {
  return layout === 'split' ? new HandSplit(guest, size, place) : new HandPacked(guest, size, place);
}

export class HandSplit implements HandRing {
  readonly layout = 'split';
  readonly bytes: SplitBytes;
  /** Available and used index: the next ones to write and to read. */
  availIdx = 0;
  private usedIdx = 0;
  private nextDesc = 0;
  private readonly guest: PokedGuest;

  constructor(guest: PokedGuest, size: number, place: RingPlace) {
    this.guest = guest;
    this.bytes = new SplitBytes(guest, size, place);
    this.bytes.zero();
  }

  /** @param idx where both indexes start */
  reset(idx = 0): void {
    this.bytes.zero();
    this.availIdx = idx;
    this.usedIdx = idx;
    this.nextDesc = 0;
    this.bytes.availIdx(idx);
  }

  offer(elements: readonly Element[]): number {
    const { size } = this.bytes;
    const head = this.nextDesc;
    elements.forEach(({ addr, len, flags = 0 }, at) => {
      const next = (this.nextDesc + 1) % size;
      const last = at === elements.length - 1;
      this.bytes.desc(this.nextDesc, addr, len, last ? flags : flags | NEXT, last ? 0 : next);
      this.nextDesc = next;
    });
    this.publish(head);
    return head;
  }

  publish(head: number): void {
    this.bytes.availEntry(this.availIdx % this.bytes.size, head);
    this.availIdx = (this.availIdx + 1) % 0x10000;
    this.bytes.availIdx(this.availIdx);
  }

  table(gpa: number, elements: readonly Element[]): Element {
    const bytes = elements.map(({ addr, len, flags = 0 }, at) =>
      at === elements.length - 1 ? descriptor(addr, len, flags, 0) : descriptor(addr, len, flags | NEXT, at + 1),
    );
    return writeTable(this.guest, gpa, bytes);
  }

  collect(): UsedBuffer[] {
    const used: UsedBuffer[] = [];
    for (; this.usedIdx !== this.bytes.usedIdx; this.usedIdx = (this.usedIdx + 1) % 0x10000)
      used.push(this.bytes.usedElement(this.usedIdx % this.bytes.size));
    return used;
  }

  deviceBytes(): GuestRange[] {
    return [{ gpa: this.bytes.place.device, length: 6 + 8 * this.bytes.size }];
  }
}

export class HandPacked implements HandRing {
  readonly layout = 'packed';
  readonly bytes: PackedBytes;
  /** The next slot to fill, and the driver's wrap counter. */
  nextSlot = 0;
  wrap = 1;
  private usedSlot = 0;
  private usedWrap = 1;
  private nextId = 0;
  /** Slots of the buffers out with the device, per id, oldest first. */
  private readonly slotsOf: Map<number, number[]> = new Map();
  private readonly guest: PokedGuest;

  constructor(guest: PokedGuest, size: number, place: RingPlace) {
    this.guest = guest;
    this.bytes = new PackedBytes(guest, size, place);
    this.bytes.zero();
  }

  reset(): void {
    this.bytes.zero();
    this.nextSlot = 0;
    this.wrap = 1;
    this.usedSlot = 0;
    this.usedWrap = 1;
    this.slotsOf.clear();
  }

  /** @param id the buffer's; its number unless given */
  offer(elements: readonly Element[], id: number = this.nextId): number {
    this.nextId = (id + 1) % 0x10000;
    const first = this.nextSlot;
    let firstFlags = 0;
    elements.forEach(({ addr, len, flags = 0 }, at) => {
      const marks = this.wrap === 1 ? AVAIL_1 : AVAIL_0;
      const all = flags | marks | (at === elements.length - 1 ? 0 : NEXT);
      if (at === 0) firstFlags = all;
      this.bytes.slot(this.nextSlot, addr, len, id, at === 0 ? all ^ USED_AND_AVAIL : all);
      this.nextSlot = (this.nextSlot + 1) % this.bytes.size;
      if (this.nextSlot === 0) this.wrap ^= 1;
    });
    this.bytes.flags(first, firstFlags);
    this.slotsOf.set(id, [...(this.slotsOf.get(id) ?? []), elements.length]);
    return id;
  }

  table(gpa: number, elements: readonly Element[]): Element {
    return writeTable(
      this.guest,
      gpa,
      elements.map(({ addr, len, flags = 0 }) => descriptor(addr, len, 0, flags)),
    );
  }

  collect(): UsedBuffer[] {
    const used: UsedBuffer[] = [];
    for (;;) {
      const { len, id, flags } = this.bytes.read(this.usedSlot);
      const slots = this.slotsOf.get(id) ?? [];
      if ((flags & USED_AND_AVAIL) !== (this.usedWrap === 1 ? USED_AND_AVAIL : 0) || slots.length === 0) return used;
      used.push({ id, len });
      this.usedSlot += slots.shift()!;
      if (slots.length === 0) this.slotsOf.delete(id);
      if (this.usedSlot >= this.bytes.size) {
        this.usedSlot -= this.bytes.size;
        this.usedWrap ^= 1;
      }
    }
  }

  deviceBytes(): GuestRange[] {
    const { place, size } = this.bytes;
    // The device leaves a used descriptor's address alone.
    const slots = Array.from({ length: size }, (_, slot) => ({ gpa: place.desc + 16 * slot + 8, length: 8 }));
    return [...slots, { gpa: place.device, length: 4 }];
  }
}

const USED_AND_AVAIL = 0x8080;

function writeTable(guest: PokedGuest, gpa: number, entries: readonly Uint8Array[]): Element {
  const len = 16 * entries.length;
  entries.forEach((entry, at) => {
    guest.memory.u8.set(entry, hostOffset(guest, gpa + 16 * at, 16));
  });
  return { addr: gpa, len, flags: INDIRECT };
}
