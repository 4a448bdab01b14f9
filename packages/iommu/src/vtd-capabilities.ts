import { VirtioError } from '@ringwire/virtio-spec';

/** What a unit can do, by CAP and ECAP (VT-d 4.0 §11.4.2, §11.4.3). Plain numbers, decoded once. */
export interface VtdCapabilities {
  /** CAP and ECAP as two words each, as software reads them. */
  readonly cap: readonly [low: number, high: number];
  readonly ecap: readonly [low: number, high: number];
  /** Bits of a domain id, 4 to 16. */
  readonly domainBits: number;
  /** SAGAW: bit 1 for 39, bit 2 for 48, bit 3 for 57 bits of second-stage address. */
  readonly sagaw: number;
  /** Bits of the largest input address. */
  readonly mgaw: number;
  readonly secondStage2M: boolean;
  readonly secondStage1G: boolean;
  readonly firstStage1G: boolean;
  readonly firstStage5Level: boolean;
  readonly pageSelective: boolean;
  /** Largest address mask of a page-selective invalidation. */
  readonly maxAddressMask: number;
  /** Byte offset and number of the fault recording registers. */
  readonly faultRegisters: number;
  readonly faultRegisterCount: number;
  /** Byte offset of IVA and IOTLB_REG. */
  readonly iotlbRegisters: number;
  readonly queuedInvalidation: boolean;
  readonly deviceTlb: boolean;
  readonly interruptRemapping: boolean;
  readonly extendedInterruptMode: boolean;
  readonly passThrough: boolean;
  readonly snoopControl: boolean;
  readonly nested: boolean;
  readonly extendedAccess: boolean;
  readonly pasid: boolean;
  /** Bits of the largest PASID. */
  readonly pasidBits: number;
  readonly scalable: boolean;
  readonly secondStageAccessDirty: boolean;
  readonly secondStage: boolean;
  readonly firstStage: boolean;
  readonly ridPasid: boolean;
  readonly abortMode: boolean;
}

/** What a builder of a unit chooses; what is left out is as in the comments. */
export interface VtdFeatures {
  /** Second-stage address widths; [39, 48]. */
  readonly addressWidths?: readonly (39 | 48 | 57)[];
  /** Large pages of the second stage; ['2M', '1G']. */
  readonly largePages?: readonly ('2M' | '1G')[];
  /** 16. */
  readonly domainBits?: number;
  /** 1 to 222; 1. */
  readonly faultRegisters?: number;
  /** true. */
  readonly queuedInvalidation?: boolean;
  /** true. */
  readonly passThrough?: boolean;
  /** Interrupt remapping; true. */
  readonly interruptRemapping?: boolean;
  /** Extended interrupt mode (x2APIC); false. */
  readonly x2apic?: boolean;
  /** Device TLBs; false. */
  readonly deviceTlb?: boolean;
  /** The SNP bit of second-stage entries; false. */
  readonly snoopControl?: boolean;
  /** Scalable mode with second-stage translation; false. */
  readonly scalable?: boolean;
  /** First-stage translation, 4 levels; only with scalable; false. */
  readonly firstStage?: boolean;
  /** 5 levels; 1 GiB pages of the first stage; the EA bit; nested translation; only with firstStage; false. */
  readonly firstStage5Level?: boolean;
  readonly firstStage1G?: boolean;
  readonly extendedAccess?: boolean;
  readonly nested?: boolean;
  /** Accessed and dirty bits of the second stage; only with scalable; false. */
  readonly secondStageAccessDirty?: boolean;
  /** Bits of a PASID, 1 to 20; requests with PASID are refused without it; only with scalable. */
  readonly pasidBits?: number;
  /** The RID_PASID field of scalable context entries; only with scalable; false. */
  readonly ridPasid?: boolean;
}

const HERE = 'VT-d 4.0 §11.4.2';
const bit = (position: number, set: boolean | undefined): bigint => (set === true ? 1n << BigInt(position) : 0n);
const field = (position: number, value: number): bigint => BigInt(value) << BigInt(position);

/** Bits of parts that this model has not, so software must not be told of them: AFL, PLMR, PHMR, PI, ECMDS. */
const CAP_ABSENT = bit(3, true) | bit(5, true) | bit(6, true) | bit(59, true) | bit(61, true);
/** PRS, PDS, VCS, PMS: page requests, virtual commands, performance monitoring. */
const ECAP_ABSENT = bit(29, true) | bit(42, true) | bit(44, true) | bit(51, true);

/** CAP and ECAP of a unit with these features: no caching mode, no write buffer to flush, draining always done. */
export function vtdCapabilityRegisters(features: VtdFeatures = {}): { cap: bigint; ecap: bigint } {
  const widths = features.addressWidths ?? [39, 48];
  const pages = features.largePages ?? ['2M', '1G'];
  const domainBits = features.domainBits ?? 16;
  const faults = features.faultRegisters ?? 1;
  if (widths.length === 0) throw new VirtioError('addressWidths', '[]', 'one of 39, 48, 57 or more', HERE);
  if (!Number.isInteger(domainBits / 2) || domainBits < 4 || domainBits > 16)
    throw new VirtioError('domainBits', domainBits, 'an even number from 4 to 16', HERE);
  if (!Number.isInteger(faults) || faults < 1 || faults > 222)
    throw new VirtioError('faultRegisters', faults, 'an integer from 1 to 222', HERE);
  const pasidBits = features.pasidBits ?? 0;
  if (!Number.isInteger(pasidBits) || pasidBits < 0 || pasidBits > 20)
    throw new VirtioError('pasidBits', pasidBits, 'an integer from 0 to 20', HERE);
  const sagaw = widths.reduce((bits, width) => bits | (1 << ((width - 30) / 9)), 0);
  const scalable = features.scalable === true;
  const firstStage = scalable && features.firstStage === true;
  const cap =
    field(0, (domainBits - 4) / 2) |
    field(8, sagaw) |
    field(16, Math.max(...widths) - 1) |
    field(24, 0x220 >> 4) |
    bit(34, pages.includes('2M')) |
    bit(35, pages.includes('1G')) |
    bit(39, true) |
    field(40, faults - 1) |
    field(48, 18) |
    bit(54, true) |
    bit(55, true) |
    bit(56, firstStage && features.firstStage1G) |
    bit(60, firstStage && features.firstStage5Level);
  const ecap =
    bit(1, features.queuedInvalidation ?? true) |
    bit(2, features.deviceTlb) |
    bit(3, features.interruptRemapping ?? true) |
    bit(4, (features.interruptRemapping ?? true) && features.x2apic) |
    bit(6, features.passThrough ?? true) |
    bit(7, features.snoopControl) |
    field(8, 0xf0 >> 4) |
    bit(26, firstStage && features.nested) |
    bit(34, firstStage && features.extendedAccess) |
    field(35, scalable && pasidBits > 0 ? pasidBits - 1 : 0) |
    bit(40, scalable && pasidBits > 0) |
    bit(43, scalable) |
    bit(45, scalable && features.secondStageAccessDirty) |
    bit(46, scalable) |
    bit(47, firstStage) |
    bit(49, scalable && features.ridPasid) |
    bit(52, scalable);
  return { cap, ecap };
}

/** Decode CAP and ECAP. What a dumped unit has and this model has not is taken out of them. */
export function vtdCapabilities(capRegister: bigint, ecapRegister: bigint): VtdCapabilities {
  const cap = BigInt.asUintN(64, capRegister) & ~CAP_ABSENT;
  const ecap = BigInt.asUintN(64, ecapRegister) & ~ECAP_ABSENT;
  const c = (position: number, bits = 1): number => Number((cap >> BigInt(position)) & ((1n << BigInt(bits)) - 1n));
  const e = (position: number, bits = 1): number => Number((ecap >> BigInt(position)) & ((1n << BigInt(bits)) - 1n));
  const scalable = e(43) === 1;
  return {
    cap: [c(0, 32), c(32, 32)],
    ecap: [e(0, 32), e(32, 32)],
    domainBits: Math.min(4 + 2 * c(0, 3), 16),
    sagaw: c(8, 5) & 0b1110,
    mgaw: c(16, 6) + 1,
    secondStage2M: c(34) === 1,
    secondStage1G: c(35) === 1,
    firstStage1G: c(56) === 1,
    firstStage5Level: c(60) === 1,
    pageSelective: c(39) === 1,
    maxAddressMask: c(48, 6),
    faultRegisters: c(24, 10) * 16,
    faultRegisterCount: c(40, 8) + 1,
    iotlbRegisters: e(8, 10) * 16,
    queuedInvalidation: e(1) === 1,
    deviceTlb: e(2) === 1,
    interruptRemapping: e(3) === 1,
    extendedInterruptMode: e(4) === 1,
    passThrough: e(6) === 1,
    snoopControl: e(7) === 1,
    nested: e(26) === 1,
    extendedAccess: e(34) === 1,
    pasid: e(40) === 1,
    pasidBits: e(35, 5) + 1,
    scalable,
    secondStageAccessDirty: e(45) === 1,
    secondStage: e(46) === 1,
    firstStage: e(47) === 1,
    ridPasid: e(49) === 1,
    abortMode: e(52) === 1,
  };
}
