import { VirtioError } from '@ringwire/virtio-spec';
import type { BarRegion } from './bar-region.js';
import { PCI_BAR, PCI_TYPE0 } from './config-header.js';
import type { RegisterBlock } from './register-block.js';

const SPEC = 'PCIe 5.0 §7.5.1.2.1';
const WORD = 0x1_0000_0000;
/** Addresses are exact numbers. */
const LIMIT = 2 ** 53;

/** One base address register of a function. */
export interface BarOptions {
  /** 0 to 5; `memory64` also takes the next one. */
  readonly index: number;
  readonly space: 'memory32' | 'memory64' | 'io';
  /** Bytes: a power of two, at least 16 (memory) or 4, at most 256 (I/O). */
  readonly size: number;
  /** Reads have no side effects: the host may merge and prefetch. */
  readonly prefetchable?: boolean;
  /** In any order, without overlap. What no region covers reads as 0. */
  readonly regions: readonly BarRegion[];
}

/** One base address register, or a pair of them, and the regions behind it. */
export class Bar {
  readonly index: number;
  readonly io: boolean;
  readonly size: number;
  readonly regions: readonly BarRegion[];
  /** The read-only low bits of the register. */
  readonly flags: number;
  /** Where it is decoded, or -1. */
  address = -1;
  private readonly wide: boolean;

  constructor({ index, space, size, prefetchable = false, regions }: BarOptions) {
    this.index = index;
    this.io = space === 'io';
    this.wide = space === 'memory64';
    this.flags = this.io
      ? PCI_BAR.IO_SPACE
      : (this.wide ? PCI_BAR.MEMORY_TYPE_64 : 0) | (prefetchable ? PCI_BAR.PREFETCHABLE : 0);
    this.size = size;
    this.regions = [...regions].sort((a, b) => a.offset - b.offset);
    checkSize(`BAR ${index} size`, size, space);
    checkRegions(index, size, this.regions);
  }

  /** Put the register, or the pair, into a configuration space or a capability. @param first where BAR 0's register is */
  define(block: RegisterBlock, first: number): void {
    const { size } = this;
    const at = first + this.index * 4;
    // The address bits that can be written are what all-ones reads back as: sizing needs nothing else.
    block.define(at, 4, this.flags, { rw: size >= WORD ? 0 : ~(size - 1) });
    if (this.wide) block.define(at + 4, 4, 0, { rw: size > WORD ? ~(size / WORD - 1) : ~0 });
  }

  /** The region at an offset of the BAR, or undefined. */
  regionAt(offset: number): BarRegion | undefined {
    for (const region of this.regions) {
      if (offset < region.offset) return undefined;
      if (offset < region.offset + region.size) return region;
    }
    return undefined;
  }

  /**
   * The address in the registers; -1 for 0, which means unassigned, and for one that reaches the end of its space or
   * is not exact as a number: so sizing, which writes all ones, decodes nothing.
   * @param first where BAR 0's register is
   * @param span bytes that are decoded from there
   */
  programmed(config: RegisterBlock, first: number, span: number): number {
    const at = first + this.index * 4;
    const low = (config.get32(at) & (this.io ? ~PCI_BAR.IO_FLAGS : ~PCI_BAR.MEMORY_FLAGS)) >>> 0;
    const address = this.wide ? config.get32(at + 4) * WORD + low : low;
    const end = address + span;
    return address === 0 || end >= (this.wide ? LIMIT : WORD) ? -1 : address;
  }
}

function checkSize(field: string, size: number, space: BarOptions['space']): void {
  const [least, most] = space === 'io' ? [4, 256] : [16, space === 'memory64' ? 2 ** 52 : 2 ** 31];
  const power = Number.isInteger(Math.log2(size));
  if (!power || size < least || size > most)
    throw new VirtioError(field, size, `a power of two from ${least} to ${most}`, SPEC);
}

function checkRegions(index: number, size: number, regions: readonly BarRegion[]): void {
  let end = 0;
  for (const region of regions) {
    const { offset } = region;
    if (offset % 4 !== 0 || offset < end || offset + region.size > size)
      throw new VirtioError(
        `BAR ${index} region offset`,
        offset,
        `a multiple of 4 from ${end} on, with ${region.size} bytes below ${size}`,
        SPEC,
      );
    if (region.size <= 0 || region.size % 4 !== 0)
      throw new VirtioError(`BAR ${index} region size`, region.size, 'a positive multiple of 4', SPEC);
    end = offset + region.size;
  }
}

/** BARs by index; holes and high halves undefined. @throws VirtioError for indexes that cannot be */
export function barsOf(options: readonly BarOptions[]): (Bar | undefined)[] {
  const bars: (Bar | undefined)[] = new Array(PCI_TYPE0.BARS).fill(undefined);
  const taken = new Set<number>();
  for (const option of options) {
    const last = option.index + (option.space === 'memory64' ? 1 : 0);
    for (let i = option.index; i <= last; i++) {
      if (!Number.isInteger(i) || i < 0 || i >= PCI_TYPE0.BARS || taken.has(i))
        throw new VirtioError('BAR index', option.index, 'registers from 0 to 5 that no other BAR has', SPEC);
      taken.add(i);
    }
    bars[option.index] = new Bar(option);
  }
  return bars;
}
