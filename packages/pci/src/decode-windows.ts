import { PCI_TYPE1 } from './config-header.js';
import type { ConfigReader } from './config-reader.js';

/** Addresses that a bridge passes on to its secondary side. */
export interface WindowReport {
  readonly kind: 'io' | 'memory' | 'prefetchable';
  /** First and last address. */
  readonly base: bigint;
  readonly limit: bigint;
  /** The read-only low bits of the base register, which say how wide the addresses are. */
  readonly flags: number;
}

const WORD = 32n;
const MIB = 0xf_ffffn;

/** PCIe 5.0 §7.5.1.3.6, .8 and .9: a window whose base is above its limit is closed. */
export function decodeWindows(space: ConfigReader): WindowReport[] {
  const all: WindowReport[] = [ioWindow(space), memoryWindow(space), prefetchableWindow(space)];
  return all.filter(({ base, limit }) => base <= limit);
}

/** Granularity 4 KiB; the upper 16 bits exist when the low ones say so. */
function ioWindow(space: ConfigReader): WindowReport {
  const flags = space.u8(PCI_TYPE1.IO_BASE) & 0xf;
  const half = (low: number, high: number): bigint =>
    BigInt(((space.u8(low) & 0xf0) << 8) | (flags === 1 ? space.u16(high) << 16 : 0)) & 0xffff_ffffn;
  const limit = half(PCI_TYPE1.IO_LIMIT, PCI_TYPE1.IO_LIMIT_UPPER) | 0xfffn;
  return { kind: 'io', base: half(PCI_TYPE1.IO_BASE, PCI_TYPE1.IO_BASE_UPPER), limit, flags };
}

/** Granularity 1 MiB. */
function memoryWindow(space: ConfigReader): WindowReport {
  const half = (at: number): bigint => BigInt(space.u16(at) & 0xfff0) << 16n;
  const limit = half(PCI_TYPE1.MEMORY_LIMIT) | MIB;
  return { kind: 'memory', base: half(PCI_TYPE1.MEMORY_BASE), limit, flags: space.u16(PCI_TYPE1.MEMORY_BASE) & 0xf };
}

function prefetchableWindow(space: ConfigReader): WindowReport {
  const flags = space.u16(PCI_TYPE1.PREFETCHABLE_MEMORY_BASE) & 0xf;
  const half = (low: number, high: number): bigint =>
    (BigInt(space.u16(low) & 0xfff0) << 16n) | (flags === 1 ? BigInt(space.u32(high)) << WORD : 0n);
  const limit = half(PCI_TYPE1.PREFETCHABLE_MEMORY_LIMIT, PCI_TYPE1.PREFETCHABLE_LIMIT_UPPER) | MIB;
  const base = half(PCI_TYPE1.PREFETCHABLE_MEMORY_BASE, PCI_TYPE1.PREFETCHABLE_BASE_UPPER);
  return { kind: 'prefetchable', base, limit, flags };
}
