import { VirtioError } from '@ringwire/virtio-spec';
import { ACCESS, type AddressSpace, RESOLVE } from './address-space.js';
import { GuestMemory, type GuestRegion } from './guest-memory.js';
import { HostMemory } from './host-memory.js';
import { RangeList } from './range-list.js';

const HERE = 'ForeignSpace';

/** A guest's RAM as an emulator has it that is not ours: somewhere in one of its buffers. */
export interface ForeignMemory {
  /**
   * The buffer as it is now. It is asked for at the beginning of every burst: an emulator that grows its WebAssembly memory
   * gets another buffer, and the one before is detached.
   */
  getBuffer(): ArrayBuffer | SharedArrayBuffer;
  /** Where in the buffer guest-physical address 0 is: bytes, a multiple of 8. It is read as often as the buffer. */
  readonly base: number;
  /** Bytes of RAM from address 0 on, with the holes: 1 to 2^32. */
  readonly size: number;
  /** Ranges in it that are no RAM, such as a PC's 0xA0000 to 0xBFFFF: they do not overlap. No device reaches them. */
  readonly holes?: readonly { readonly address: number; readonly size: number }[];
  /**
   * The device may have written there: whoever keeps something that was made of these bytes, such as compiled code, drops
   * it. Called when a burst ends, before the guest can see what was written; once or oftener for a range.
   */
  onWrite?(address: number, length: number): void;
}

/**
 * The address space of a device in somebody else's emulator: guest-physical addresses are host offsets of a memory that
 * finds the emulator's buffer anew whenever that was replaced.
 *
 * A buffer that has become too small for the guest, as that of an emulator which was ended, leaves every address
 * unreachable: rings are then out of reach, which a device knows how to say.
 */
export class ForeignSpace implements AddressSpace {
  readonly memory: HostMemory;
  /** Called at the end of each burst: who writes to what it resolved in an earlier one notes it now, by {@link note}. */
  beforeLeave: (() => void) | undefined = undefined;

  private readonly foreign: ForeignMemory;
  private readonly guest: GuestMemory;
  /** Addresses, which are host offsets, that were resolved for writing in this burst. */
  private readonly written = new RangeList(256);
  private readonly tells: boolean;
  private buffer: ArrayBuffer | SharedArrayBuffer;
  private base: number;
  private bytes: number;
  private epoch = 0;
  private isGone = false;

  /** @throws VirtioError for a size or a base that the buffer has no room for, and for holes outside or across */
  constructor(foreign: ForeignMemory) {
    const { size, base, holes = [] } = foreign;
    this.foreign = foreign;
    this.buffer = foreign.getBuffer();
    this.base = base;
    this.bytes = this.buffer.byteLength;
    this.memory = HostMemory.wrap(this.buffer, base, size);
    this.guest = new GuestMemory(this.memory, regionsBetween(size, holes));
    this.tells = foreign.onWrite !== undefined;
  }

  enter(): number {
    const { foreign } = this;
    const buffer = foreign.getBuffer();
    const { base } = foreign;
    if (buffer !== this.buffer || base !== this.base || buffer.byteLength !== this.bytes) this.find(buffer, base);
    return this.epoch;
  }

  leave(): void {
    if (!this.tells) return;
    this.beforeLeave?.();
    const { written, foreign } = this;
    const { offset, length, count } = written;
    for (let i = 0; i < count; i++) foreign.onWrite!(offset[i]!, length[i]!);
    written.clear();
  }

  resolve(address: number, length: number, access: number): number {
    if (this.isGone) return RESOLVE.FAULT;
    const offset = this.guest.resolve(address, length, access);
    if (offset >= 0 && (access & ACCESS.WRITE) !== 0) this.note(offset, length);
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    if (this.isGone) return false;
    const before = ranges.count;
    if (!this.guest.resolveRanges(address, length, access, ranges)) return false;
    if ((access & ACCESS.WRITE) !== 0)
      for (let i = before; i < ranges.count; i++) this.note(ranges.offset[i]!, ranges.length[i]!);
    return true;
  }

  /** These bytes of RAM may have been written in this burst. */
  note(address: number, length: number): void {
    if (this.tells && length > 0) this.written.push(address, length);
  }

  private find(buffer: ArrayBuffer | SharedArrayBuffer, base: number): void {
    this.buffer = buffer;
    this.base = base;
    this.bytes = buffer.byteLength;
    this.epoch++;
    this.isGone = !(base % 8 === 0 && base >= 0 && buffer.byteLength - base >= this.memory.size);
    if (!this.isGone) this.memory.rewrap(buffer, base);
  }
}

function regionsBetween(size: number, holes: NonNullable<ForeignMemory['holes']>): GuestRegion[] {
  const regions: GuestRegion[] = [];
  let at = 0;
  for (const { address, size: bytes } of [...holes].sort((a, b) => a.address - b.address)) {
    const isRange = Number.isInteger(address) && Number.isInteger(bytes) && bytes > 0;
    if (!isRange || address < at || address + bytes > size)
      throw new VirtioError('holes', `${address} + ${bytes}`, `ranges from ${at} to ${size}, apart`, HERE);
    if (address > at) regions.push({ gpa: at, size: address - at, host: at });
    at = address + bytes;
  }
  if (at < size) regions.push({ gpa: at, size: size - at, host: at });
  return regions;
}
