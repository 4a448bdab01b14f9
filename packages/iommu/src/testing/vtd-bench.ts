import { GuestMemory, type GuestRegion, HostMemory } from '@ringwire/guest-memory';
import { NO_PASID, newTranslation, type Translated, type Translation } from '../translation.js';
import { VtdUnit } from '../vtd-unit.js';
import type { VtdUnitConfig } from '../vtd-unit-config.js';

/** Register offsets of VT-d 4.0 §11.4, written once more for the tests. */
export const REG = {
  GCMD: 0x18,
  GSTS: 0x1c,
  RTADDR: 0x20,
  CCMD: 0x28,
  FSTS: 0x34,
  FECTL: 0x38,
  FEDATA: 0x3c,
  FEADDR: 0x40,
  IQH: 0x80,
  IQT: 0x88,
  IQA: 0x90,
  ICS: 0x9c,
  IECTL: 0xa0,
  IEDATA: 0xa4,
  IEADDR: 0xa8,
  IQERCD: 0xb0,
  IRTA: 0xb8,
  IVA: 0xf0,
  IOTLB: 0xf8,
  FRCD: 0x220,
} as const;

/** Physical memory of 1 MiB (or the regions given), a unit over it, and what the unit told others. */
export class VtdBench {
  readonly memory: GuestMemory;
  readonly unit: VtdUnit;
  /** Calls of the sink, oldest first. */
  readonly told: string[] = [];
  /** Messages of the unit. */
  readonly interrupts: { low: number; high: number; data: number }[] = [];
  readonly out: Translation = newTranslation();

  constructor(config: Omit<VtdUnitConfig, 'memory' | 'sink'> = {}, regions?: readonly GuestRegion[]) {
    const size = 0x10_0000;
    this.memory = new GuestMemory(HostMemory.create(size), regions ?? [{ gpa: 0, size, host: 0 }]);
    this.unit = new VtdUnit({
      onInterrupt: (low, high, data) => this.interrupts.push({ low, high, data }),
      ...config,
      memory: this.memory,
      sink: {
        all: () => this.told.push('all'),
        domain: (domain) => this.told.push(`domain ${domain}`),
        pages: (domain, address, mask) =>
          this.told.push(`pages ${domain} ${address.toString(16)} ${mask.toString(16)}`),
        requester: (sourceId) => this.told.push(`requester ${sourceId.toString(16)}`),
      },
    });
    this.told.length = 0;
  }

  /** 64-bit stores, ascending. */
  put(address: number, ...quads: bigint[]): void {
    const bytes = new Uint8Array(quads.length * 8);
    quads.forEach((quad, i) => {
      new DataView(bytes.buffer).setBigUint64(i * 8, quad, true);
    });
    this.memory.write(address, bytes);
  }

  quad(address: number): bigint {
    return new DataView(this.memory.read(address, 8).buffer).getBigUint64(0, true);
  }

  /** Set the root table (with TTM in bits 11:10) and switch translation on. */
  start(rtaddr: bigint): void {
    this.unit.write(REG.RTADDR, 8, rtaddr);
    this.unit.write(REG.GCMD, 4, 0x4000_0000);
    this.unit.write(REG.GCMD, 4, 0x8000_0000);
    this.told.length = 0;
  }

  translate(sourceId: number, address: number, access: number, pasid: number = NO_PASID): Translated {
    return this.unit.translate(sourceId, pasid, address, access, this.out);
  }

  /** Reason of the first fault record, or -1; the record is then free again. */
  takeReason(): number {
    const high = this.unit.read(REG.FRCD + 8, 8);
    if (high >> 63n === 0n) return -1;
    this.unit.write(REG.FRCD + 12, 4, 0x8000_0000);
    return Number((high >> 32n) & 0xffn);
  }

  /** Translate and give the reason of the fault, or -1. */
  reasonOf(sourceId: number, address: number, access: number, pasid: number = NO_PASID): number {
    this.translate(sourceId, address, access, pasid);
    return this.takeReason();
  }
}

/** Where {@link legacyBench} puts its tables. */
export const AT = {
  root: 0x1000,
  context: 0x2000,
  ss4: 0x3000,
  ss3: 0x4000,
  ss2: 0x5000,
  ss1: 0x6000,
  page: 0x9000,
} as const;
export const SID = 0x0018;

/**
 * Legacy mode, 48 bits, domain 5: requester 00:03.0 has one page, {@link IOVA} to physical 0x9000. Indexes of it from
 * level 4 down are 0, 0x100, 0x11a and 0x56.
 */
export function legacyBench(config: Omit<VtdUnitConfig, 'memory' | 'sink'> = {}): VtdBench {
  const bench = new VtdBench({ capabilities: { deviceTlb: false }, ...config });
  bench.put(AT.root, 0x2001n, 0n);
  bench.put(AT.context + SID * 16, 0x3001n, 0x0502n);
  bench.put(AT.ss4, 0x4003n);
  bench.put(AT.ss3 + 0x100 * 8, 0x5003n);
  bench.put(AT.ss2 + 0x11a * 8, 0x6003n);
  bench.put(AT.ss1 + 0x56 * 8, 0x9003n);
  bench.start(0x1000n);
  return bench;
}
/** The one IOVA of {@link legacyBench}. */
export const IOVA = 0x40_2345_6000;
