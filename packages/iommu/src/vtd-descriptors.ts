import { NO_PASID } from './translation.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import {
  DEVICE_TLB,
  type DeviceTlbAnswer,
  type DeviceTlbInvalidation,
  type InterruptEntryInvalidation,
  type VtdInvalidator,
} from './vtd-invalidation.js';
import { VTD_IQEI } from './vtd-registers.js';

/** VT-d 4.0 §6.5.2: descriptor types, bits 3:0. */
export const VTD_DESCRIPTOR = {
  CONTEXT_CACHE: 1,
  IOTLB: 2,
  DEVICE_TLB: 3,
  INTERRUPT_ENTRY: 4,
  WAIT: 5,
  PASID_IOTLB: 6,
  PASID_CACHE: 7,
  PASID_DEVICE_TLB: 8,
} as const;

/** Invalidation wait, bits of word 0: interrupt, status write, fence. Data is word 1, the address words 2 and 3. */
export const VTD_WAIT = { IF: 0x10, SW: 0x20, FN: 0x40 } as const;

/** Granularities of the PASID cache descriptor; those of the PASID IOTLB one are PASID 2 and page 3. */
const PASID_CACHE = { DOMAIN: 0, PASID: 1, GLOBAL: 3 } as const;
const PASID_IOTLB = { PASID: 2, PAGE: 3 } as const;

const T = VTD_DESCRIPTOR;
const WORD = 0x1_0000_0000;

/** Bits that have to be zero, by type: words 0, 1, 2, 3. */
const RESERVED: Readonly<Record<number, readonly [number, number, number, number]>> = {
  [T.CONTEXT_CACHE]: [0x0000_ffc0, 0xfffc_0000, 0xffff_ffff, 0xffff_ffff],
  [T.IOTLB]: [0x0000_ff00, 0xffff_ffff, 0x0000_0f80, 0],
  [T.DEVICE_TLB]: [0xffe0_0ff0, 0x000f_0000, 0x0000_0ffe, 0],
  [T.INTERRUPT_ENTRY]: [0x07ff_ffe0, 0xffff_0000, 0xffff_ffff, 0xffff_ffff],
  [T.WAIT]: [0xffff_ff80, 0, 0x0000_0003, 0],
  [T.PASID_IOTLB]: [0x0000_ffc0, 0xfff0_0000, 0x0000_0f80, 0],
  [T.PASID_CACHE]: [0x0000_ffc0, 0xfff0_0000, 0xffff_ffff, 0xffff_ffff],
  [T.PASID_DEVICE_TLB]: [0x0000_0e00, 0x000f_0000, 0x0000_07fe, 0],
};

/** Carries out one descriptor, a copy of which lies in `words`. */
export class VtdDescriptors {
  /** The descriptor: 4 words, or 8 whose upper half is reserved. */
  readonly words: Uint32Array;
  /** The requester of a device TLB that did not answer well. */
  failedSource: number;
  /** How the last device TLB answered. */
  answer: DeviceTlbAnswer;

  private readonly capabilities: VtdCapabilities;
  private readonly invalidator: VtdInvalidator;
  private readonly deviceTlb: DeviceTlbInvalidation | undefined;
  private readonly interruptEntries: InterruptEntryInvalidation | undefined;

  constructor(
    capabilities: VtdCapabilities,
    invalidator: VtdInvalidator,
    deviceTlb: DeviceTlbInvalidation | undefined,
    interruptEntries: InterruptEntryInvalidation | undefined,
  ) {
    this.words = new Uint32Array(8);
    this.failedSource = 0;
    this.answer = DEVICE_TLB.DONE;
    this.capabilities = capabilities;
    this.invalidator = invalidator;
    this.deviceTlb = deviceTlb;
    this.interruptEntries = interruptEntries;
  }

  get type(): number {
    return this.words[0]! & 0xf;
  }

  /** @returns 0, or a code of VTD_IQEI for a descriptor that this unit does not take */
  check(wide: boolean): number {
    const words = this.words;
    const reserved = RESERVED[this.type];
    if (reserved === undefined || !this.isSupported(this.type)) return VTD_IQEI.TYPE;
    for (let i = 0; i < 4; i++) if ((words[i]! & reserved[i]!) !== 0) return VTD_IQEI.RESERVED;
    if (wide && (words[4] !== 0 || words[5] !== 0 || words[6] !== 0 || words[7] !== 0)) return VTD_IQEI.RESERVED;
    return 0;
  }

  /** Carry out any but a wait. @returns 0, or a code of VTD_IQEI; nothing was done then */
  execute(): number {
    const word0 = this.words[0]!;
    const word1 = this.words[1]!;
    const low = this.words[2]!;
    const high = this.words[3]!;
    const granularity = (word0 >>> 4) & 3;
    const upper16 = word0 >>> 16;
    this.answer = DEVICE_TLB.DONE;
    switch (this.type) {
      case T.CONTEXT_CACHE: {
        const done = this.invalidator.context(granularity, upper16, word1 & 0xffff, (word1 >>> 16) & 3);
        return done === 0 ? VTD_IQEI.RESERVED : 0;
      }
      case T.IOTLB:
        return this.invalidator.iotlb(granularity, upper16, low, high) === 0 ? VTD_IQEI.RESERVED : 0;
      case T.DEVICE_TLB:
        this.forward(word1 & 0xffff, NO_PASID, low, high, (low & 1) !== 0);
        return 0;
      case T.PASID_DEVICE_TLB: {
        const pasid = (low & 1) === 0 ? word1 & 0xf_ffff : NO_PASID; // G: all PASIDs
        this.forward(upper16, pasid, low, high, (low & 0x800) !== 0);
        return 0;
      }
      case T.INTERRUPT_ENTRY:
        if ((word0 & 0x10) === 0) this.interruptEntries?.(0, 0x1_0000);
        else {
          const count = Math.min(2 ** (word0 >>> 27), 0x1_0000);
          const index = word1 & 0xffff;
          this.interruptEntries?.(index - (index % count), count);
        }
        return 0;
      case T.PASID_IOTLB:
        return this.pasidIotlb(granularity, upper16, low, high);
      default:
        return this.pasidCache(granularity, upper16);
    }
  }

  private isSupported(type: number): boolean {
    switch (type) {
      case T.DEVICE_TLB:
        return this.capabilities.deviceTlb;
      case T.PASID_DEVICE_TLB:
        return this.capabilities.deviceTlb && this.capabilities.pasid;
      case T.INTERRUPT_ENTRY:
        return this.capabilities.interruptRemapping;
      case T.PASID_IOTLB:
      case T.PASID_CACHE:
        return this.capabilities.scalable;
      default:
        return true;
    }
  }

  private pasidIotlb(granularity: number, domain: number, low: number, high: number): number {
    switch (granularity) {
      case PASID_IOTLB.PASID:
        this.invalidator.wholeDomain(domain);
        return 0;
      case PASID_IOTLB.PAGE:
        if ((low & 0x3f) > this.capabilities.maxAddressMask) return VTD_IQEI.RESERVED;
        this.invalidator.pages(domain, low, high);
        return 0;
      default:
        return VTD_IQEI.RESERVED;
    }
  }

  private pasidCache(granularity: number, domain: number): number {
    switch (granularity) {
      case PASID_CACHE.DOMAIN:
      case PASID_CACHE.PASID:
        this.invalidator.domain(domain);
        return 0;
      case PASID_CACHE.GLOBAL:
        this.invalidator.all();
        return 0;
      default:
        return VTD_IQEI.RESERVED;
    }
  }

  /** Without a way to the device, its cache is one of those above the unit. */
  private forward(sourceId: number, pasid: number, low: number, high: number, sized: boolean): void {
    if (this.deviceTlb === undefined) {
      this.invalidator.requester(sourceId);
      return;
    }
    // PCIe ATS: with S, the lowest zero bit of the address from bit 12 on says how large the stretch is.
    let bits = 12;
    if (sized) {
      while (bits < 64 && ((bits < 32 ? low >>> bits : high >>> (bits - 32)) & 1) === 1) bits++;
      bits++;
    }
    const size = 2 ** bits;
    const page = high * WORD + ((low & 0xffff_f000) >>> 0);
    const all = bits > 53;
    this.answer = this.deviceTlb(
      sourceId,
      pasid,
      all ? 0 : page - (page % size),
      all ? Number.POSITIVE_INFINITY : size - 1,
    );
    if (this.answer !== DEVICE_TLB.DONE) this.failedSource = sourceId;
  }
}
