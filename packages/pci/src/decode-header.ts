import { PCI_BAR, PCI_HEADER, PCI_HEADER_TYPE, PCI_ROM, PCI_TYPE0, PCI_TYPE1 } from './config-header.js';
import type { ConfigReader } from './config-reader.js';

/** The first 64 bytes, apart from addresses. */
export interface HeaderReport {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly command: number;
  readonly status: number;
  readonly revisionId: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  readonly cacheLineSize: number;
  readonly latencyTimer: number;
  /** 0: an endpoint; 1: a bridge. Others have no known fields behind the first 16 bytes. */
  readonly layout: number;
  readonly multiFunction: boolean;
  /** Endpoints only; a bridge has a capability for it. */
  readonly subsystem: { readonly vendorId: number; readonly id: number } | undefined;
  /** Bridges only. */
  readonly buses: { readonly primary: number; readonly secondary: number; readonly subordinate: number } | undefined;
  readonly interruptLine: number;
  /** 0: none, 1 to 4: INTA to INTD. */
  readonly interruptPin: number;
}

/** One base address register, decoded. */
export interface BarReport {
  /** Of the register, the low one of a pair. */
  readonly index: number;
  readonly space: 'memory32' | 'memory64' | 'io';
  readonly prefetchable: boolean;
  /** As programmed; 0: unassigned. Whether it is decoded is Command's to say. */
  readonly address: bigint;
  /** The read-only low bits. */
  readonly flags: number;
}

/** The expansion ROM's base address register, decoded (PCIe 5.0 §7.5.1.2.4). */
export interface RomReport {
  readonly address: number;
  readonly enabled: boolean;
}

/** What the header says, of type 0 or 1; of another type the common part (PCIe 5.0 §7.5.1). */
export function decodeHeader(space: ConfigReader): HeaderReport {
  const type = space.u8(PCI_HEADER.HEADER_TYPE);
  const layout = type & PCI_HEADER_TYPE.LAYOUT;
  return {
    vendorId: space.u16(PCI_HEADER.VENDOR_ID),
    deviceId: space.u16(PCI_HEADER.DEVICE_ID),
    command: space.u16(PCI_HEADER.COMMAND),
    status: space.u16(PCI_HEADER.STATUS),
    revisionId: space.u8(PCI_HEADER.REVISION_ID),
    classCode: space.u32(PCI_HEADER.REVISION_ID) >>> 8,
    cacheLineSize: space.u8(PCI_HEADER.CACHE_LINE_SIZE),
    latencyTimer: space.u8(PCI_HEADER.LATENCY_TIMER),
    layout,
    multiFunction: (type & PCI_HEADER_TYPE.MULTI_FUNCTION) !== 0,
    subsystem:
      layout === 0
        ? { vendorId: space.u16(PCI_TYPE0.SUBSYSTEM_VENDOR_ID), id: space.u16(PCI_TYPE0.SUBSYSTEM_ID) }
        : undefined,
    buses:
      layout === 1
        ? {
            primary: space.u8(PCI_TYPE1.PRIMARY_BUS),
            secondary: space.u8(PCI_TYPE1.SECONDARY_BUS),
            subordinate: space.u8(PCI_TYPE1.SUBORDINATE_BUS),
          }
        : undefined,
    interruptLine: space.u8(PCI_HEADER.INTERRUPT_LINE),
    interruptPin: space.u8(PCI_HEADER.INTERRUPT_PIN),
  };
}

/** Base address registers that are not 0, of a header layout. @param start of the first one; those of VFs lie elsewhere */
export function decodeBars(space: ConfigReader, start: number, count: number): BarReport[] {
  const bars: BarReport[] = [];
  for (let index = 0; index < count; index++) {
    const register = space.u32(start + index * 4);
    if (register === 0) continue;
    if ((register & PCI_BAR.IO_SPACE) !== 0) {
      const flags = register & PCI_BAR.IO_FLAGS;
      bars.push({ index, space: 'io', prefetchable: false, address: BigInt((register & ~flags) >>> 0), flags });
      continue;
    }
    const flags = register & PCI_BAR.MEMORY_FLAGS;
    // A register that asks for a next one which is not there has what it says itself.
    const wide = (flags & PCI_BAR.MEMORY_TYPE) === PCI_BAR.MEMORY_TYPE_64 && index + 1 < count;
    const high = wide ? BigInt(space.u32(start + index * 4 + 4)) << 32n : 0n;
    bars.push({
      index,
      space: wide ? 'memory64' : 'memory32',
      prefetchable: (flags & PCI_BAR.PREFETCHABLE) !== 0,
      address: high | BigInt((register & ~flags) >>> 0),
      flags,
    });
    if (wide) index++;
  }
  return bars;
}

/** Number of base address registers of a header layout; those of layouts that are not known here are not read. */
export const barCount = (layout: number): number => (layout === 0 ? PCI_TYPE0.BARS : layout === 1 ? PCI_TYPE1.BARS : 0);

/** The expansion ROM, unless its register is 0. */
export function decodeRom(space: ConfigReader, layout: number): RomReport | undefined {
  if (layout > 1) return undefined;
  const register = space.u32(layout === 0 ? PCI_TYPE0.EXPANSION_ROM : PCI_TYPE1.EXPANSION_ROM);
  if (register === 0) return undefined;
  return { address: (register & PCI_ROM.ADDRESS) >>> 0, enabled: (register & PCI_ROM.ENABLE) !== 0 };
}
