import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { inInterruptWindow, meetsInterruptWindow } from './amdvi-interrupt-window.js';
import { type InvalidationSink, type Iommu, TRANSLATED, type Translated, type Translation } from './translation.js';

/** AMD64 northbridge, function 3: configuration registers of the GART, 32 bits each. */
export const GART_REGISTERS = {
  ApertureControl: 0x90, // GART_CONTROL
  ApertureBase: 0x94, // 14:0 are address bits 39:25
  TableBase: 0x98, // 31:4 are address bits 39:12
  CacheControl: 0x9c, // GART_CACHE
} as const;

/** Bits of ApertureControl. Size: 32 MiB << n in bits 3:1. */
export const GART_CONTROL = { GartEn: 1, SIZE_SHIFT: 1, DisGartIo: 0x20 } as const;
/** Bits of CacheControl. InvGart reads 0; GartPteErr is cleared by writing 1. */
export const GART_CACHE = { InvGart: 1, GartPteErr: 2 } as const;
/** A table entry, 32 bits: 31:12 are address bits 31:12, and 11:4 are address bits 39:32. */
export const GART_PTE = { VALID: 1, COHERENT: 2 } as const;

const WORD = 0x1_0000_0000;
const PAGE_BYTES = 4096;
const PAGE_MASK = PAGE_BYTES - 1;
/** Apertures start and end at multiples of this. */
const UNIT_BYTES = 0x200_0000;
const READ = ACCESS.READ;
const READ_WRITE = ACCESS.READ | ACCESS.WRITE;
/** Bits that software may change. Size 7 is reserved and leaves the aperture off. */
const WRITABLE: Readonly<Record<number, number>> = {
  [GART_REGISTERS.ApertureControl]: 0x7f,
  [GART_REGISTERS.ApertureBase]: 0x7fff,
  [GART_REGISTERS.TableBase]: 0xffff_fff0,
};

/**
 * The "old IOMMU": AMD64's GART as Linux used it for devices with 32-bit addresses. One window of bus addresses, the
 * aperture, is remapped page by page through a flat table.
 *
 * **It translates and does not protect.** An address outside the aperture goes to memory as it is. The table is the same
 * for every requester; its entries know no read-only pages. Who is to be kept from memory needs an
 * {@link AmdViUnit | IOMMU}.
 */
export class Gart implements Iommu {
  private readonly memory: AddressSpace;
  private readonly sink: InvalidationSink;
  private readonly registers: Record<number, number>;
  private apertureFirst = 0;
  /** 0 while it is off. */
  private apertureBytes = 0;
  private table = 0;

  /** @param sink told of InvGart and of every change to the aperture, as one domain with the number 0 */
  constructor(memory: AddressSpace, sink: InvalidationSink) {
    this.memory = memory;
    this.sink = sink;
    this.registers = {};
    for (const at of Object.values(GART_REGISTERS)) this.registers[at] = 0;
  }

  /** All requesters see the same; a PASID means nothing. A page without a valid entry sets GartPteErr and is a fault. */
  translate(_sourceId: number, _pasid: number, address: number, access: number, out: Translation): Translated {
    out.physical = address;
    out.allowed = READ_WRITE;
    out.domain = 0;
    out.entriesRead = 0;
    if (inInterruptWindow(address) && access === ACCESS.WRITE) return TRANSLATED.INTERRUPT;
    const at = address - this.apertureFirst;
    if (!(at >= 0 && at < this.apertureBytes)) {
      const first = address - (address % UNIT_BYTES);
      out.pageMask = meetsInterruptWindow(first, first + UNIT_BYTES - 1) ? PAGE_MASK : UNIT_BYTES - 1;
      return TRANSLATED.PASS_THROUGH;
    }
    out.pageMask = PAGE_MASK;
    const offset = this.memory.resolve(this.table + Math.floor(at / PAGE_BYTES) * 4, 4, READ);
    if (offset < 0 || (offset & 3) !== 0) return this.fault();
    const entry = this.memory.memory.u32[offset >>> 2]!;
    out.entriesRead = 1;
    if ((entry & GART_PTE.VALID) === 0) return this.fault();
    out.physical = ((entry >>> 4) & 0xff) * WORD + ((entry & 0xffff_f000) >>> 0) + (at % PAGE_BYTES);
    return TRANSLATED.OK;
  }

  /** A read of one register, 4 bytes; 0 elsewhere. */
  read(offset: number): number {
    return this.registers[offset] ?? 0;
  }

  /** A write of one register, 4 bytes; ignored elsewhere. */
  write(offset: number, value: number): void {
    if (offset === GART_REGISTERS.CacheControl) {
      this.registers[offset]! &= ~(value & GART_CACHE.GartPteErr);
      if ((value & GART_CACHE.InvGart) !== 0) this.sink.all();
      return;
    }
    const writable = WRITABLE[offset];
    if (writable === undefined) return;
    this.registers[offset] = (value & writable) >>> 0;
    this.configure();
    this.sink.all();
  }

  private configure(): void {
    const control = this.registers[GART_REGISTERS.ApertureControl]!;
    const size = (control >>> GART_CONTROL.SIZE_SHIFT) & 7;
    const on = (control & GART_CONTROL.GartEn) !== 0 && (control & GART_CONTROL.DisGartIo) === 0 && size < 7;
    this.apertureBytes = on ? UNIT_BYTES * 2 ** size : 0;
    this.apertureFirst = this.registers[GART_REGISTERS.ApertureBase]! * UNIT_BYTES;
    this.table = Math.floor(this.registers[GART_REGISTERS.TableBase]! / 16) * PAGE_BYTES;
  }

  private fault(): Translated {
    this.registers[GART_REGISTERS.CacheControl]! |= GART_CACHE.GartPteErr;
    return TRANSLATED.FAULT;
  }
}

/** A table entry that maps a page. @param physical a multiple of 4096 below 2^40 */
export function gartEntry(physical: number): number {
  if (!Number.isInteger(physical) || physical < 0 || physical >= 2 ** 40 || physical % PAGE_BYTES !== 0)
    throw new VirtioError('physical', physical, 'a multiple of 4096 below 2^40', 'AMD64 GART page-table entry');
  return ((physical % WORD) | (Math.floor(physical / WORD) << 4) | GART_PTE.COHERENT | GART_PTE.VALID) >>> 0;
}
