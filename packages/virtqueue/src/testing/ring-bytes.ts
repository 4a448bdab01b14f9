import type { AddressSpace, HostMemory } from '@ringwire/guest-memory';

/**
 * Rings as a test writes them by hand: every offset below is a number out of virtio 1.4 §2.7 and §2.8, so that these
 * bytes owe nothing to the code that they test.
 */

/** Guest memory with a way to find its bytes. */
export interface PokedGuest {
  readonly memory: HostMemory;
  readonly space: AddressSpace;
}

/** Where the three parts of a queue lie. */
export interface RingPlace {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;
/** Packed: marks of a descriptor made available, and used, while the wrap counter is 1; the other lap has them inverted. */
export const AVAIL_1 = 0x0080;
export const AVAIL_0 = 0x8000;
export const USED_1 = 0x8080;
export const USED_0 = 0x0000;

/** The bytes that the digits stand for; white space is for the eye. */
export function hex(literal: TemplateStringsArray): Uint8Array {
  const digits = literal.join('').replace(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new Error(`not whole bytes in hex: ${digits}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** 16 bytes of a descriptor: address, length and two halfwords, `flags, next` in a split ring and `id, flags` in a packed one. */
export function descriptor(addr: number | bigint, len: number, third: number, fourth: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(addr), true);
  view.setUint32(8, len, true);
  view.setUint16(12, third, true);
  view.setUint16(14, fourth, true);
  return bytes;
}

/** Host offset of guest bytes that lie in one piece. */
export function hostOffset(guest: PokedGuest, gpa: number, length: number): number {
  const offset = guest.space.resolve(gpa, length, 0);
  if (offset < 0) throw new Error(`${length} bytes at 0x${gpa.toString(16)} are not in one piece of the guest`);
  return offset;
}

/** A split virtqueue: descriptor table, available ring { flags, idx, ring, used_event }, used ring { flags, idx, ring, avail_event }. */
export class SplitBytes {
  readonly size: number;
  readonly place: RingPlace;
  private readonly guest: PokedGuest;
  private readonly view: DataView;
  private readonly table: number;
  private readonly avail: number;
  private readonly used: number;

  constructor(guest: PokedGuest, size: number, place: RingPlace) {
    this.guest = guest;
    this.size = size;
    this.place = place;
    this.view = guest.memory.view;
    this.table = hostOffset(guest, place.desc, 16 * size);
    this.avail = hostOffset(guest, place.driver, 6 + 2 * size);
    this.used = hostOffset(guest, place.device, 6 + 8 * size);
  }

  zero(): void {
    this.guest.memory.u8.fill(0, this.table, this.table + 16 * this.size);
    this.guest.memory.u8.fill(0, this.avail, this.avail + 6 + 2 * this.size);
    this.guest.memory.u8.fill(0, this.used, this.used + 6 + 8 * this.size);
  }

  desc(index: number, addr: number | bigint, len: number, flags: number, next = 0): void {
    this.guest.memory.u8.set(descriptor(addr, len, flags, next), this.table + 16 * index);
  }

  availFlags(flags: number): void {
    this.view.setUint16(this.avail, flags, true);
  }

  availIdx(idx: number): void {
    this.view.setUint16(this.avail + 2, idx, true);
  }

  availEntry(slot: number, head: number): void {
    this.view.setUint16(this.avail + 4 + 2 * slot, head, true);
  }

  usedEvent(value: number): void {
    this.view.setUint16(this.avail + 4 + 2 * this.size, value, true);
  }

  get usedFlags(): number {
    return this.view.getUint16(this.used, true);
  }

  get usedIdx(): number {
    return this.view.getUint16(this.used + 2, true);
  }

  get availEvent(): number {
    return this.view.getUint16(this.used + 4 + 8 * this.size, true);
  }

  usedElement(slot: number): { id: number; len: number } {
    const at = this.used + 4 + 8 * slot;
    return { id: this.view.getUint32(at, true), len: this.view.getUint32(at + 4, true) };
  }
}

/** A packed virtqueue: descriptor ring, driver and device event suppression { off | wrap << 15, flags }. */
export class PackedBytes {
  readonly size: number;
  readonly place: RingPlace;
  private readonly guest: PokedGuest;
  private readonly view: DataView;
  private readonly ring: number;
  private readonly driver: number;
  private readonly device: number;

  constructor(guest: PokedGuest, size: number, place: RingPlace) {
    this.guest = guest;
    this.size = size;
    this.place = place;
    this.view = guest.memory.view;
    this.ring = hostOffset(guest, place.desc, 16 * size);
    this.driver = hostOffset(guest, place.driver, 4);
    this.device = hostOffset(guest, place.device, 4);
  }

  zero(): void {
    this.guest.memory.u8.fill(0, this.ring, this.ring + 16 * this.size);
    this.view.setUint32(this.driver, 0, true);
    this.view.setUint32(this.device, 0, true);
  }

  /** `flags` go in last, as a driver's do. */
  slot(index: number, addr: number | bigint, len: number, id: number, flags: number): void {
    this.guest.memory.u8.set(descriptor(addr, len, id, flags).subarray(0, 14), this.ring + 16 * index);
    this.flags(index, flags);
  }

  /** Length and flags alone: address and id stay, as a driver that reuses its buffers leaves them. */
  relaunch(index: number, len: number, flags: number): void {
    this.view.setUint32(this.ring + 16 * index + 8, len, true);
    this.flags(index, flags);
  }

  flags(index: number, flags: number): void {
    this.view.setUint16(this.ring + 16 * index + 14, flags, true);
  }

  read(index: number): { len: number; id: number; flags: number } {
    const at = this.ring + 16 * index;
    return {
      len: this.view.getUint32(at + 8, true),
      id: this.view.getUint16(at + 12, true),
      flags: this.view.getUint16(at + 14, true),
    };
  }

  driverEvent(offAndWrap: number, flags: number): void {
    this.view.setUint16(this.driver, offAndWrap, true);
    this.view.setUint16(this.driver + 2, flags, true);
  }

  get deviceEvent(): { offAndWrap: number; flags: number } {
    return { offAndWrap: this.view.getUint16(this.device, true), flags: this.view.getUint16(this.device + 2, true) };
  }
}
