import type { AddressSpace } from '@ringwire/guest-memory';
import { NO_PASID } from './translation.js';
import type { VtdCaches } from './vtd-caches.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import { newContext, type VtdContext } from './vtd-context-cache.js';
import { type FirstStage, type SecondStage, tableBase, VtdPaging, WALK } from './vtd-paging.js';
import { legacyReason, VTD_FAULT } from './vtd-reasons.js';
import { VTD_TTM } from './vtd-registers.js';
import { VtdTableReader, type VtdTrace } from './vtd-table-reader.js';
import {
  isInterruptAddress,
  levelsOfWidth,
  reservedBits,
  VTD_CONTEXT_ENTRY,
  VTD_PASID_DIR_ENTRY,
  VTD_PASID_ENTRY,
  VTD_PGTT,
  VTD_ROOT_ENTRY,
  VTD_SM_CONTEXT_ENTRY,
  VTD_TT,
  type VtdReserved,
} from './vtd-tables.js';

const F = VTD_FAULT;
const CE = VTD_CONTEXT_ENTRY;
const SCE = VTD_SM_CONTEXT_ENTRY;
const PE = VTD_PASID_ENTRY;
const WORD = 0x1_0000_0000;
/** Walks of one request while software keeps changing the entries whose bits are to be set. */
const TRIES = 4;

/** What stands between a requester and its memory. */
export const VTD_KIND = { SECOND_STAGE: 0, FIRST_STAGE: 1, NESTED: 2, PASS_THROUGH: 3 } as const;
export type VtdKind = (typeof VTD_KIND)[keyof typeof VTD_KIND];

/**
 * The way of one request through root, context, PASID and paging tables (VT-d 4.0 §3.4). It records nothing and knows no
 * registers but the root table's address; its fields hold what the request met, until the next one.
 */
export class VtdWalk {
  readonly paging: VtdPaging;
  readonly reader: VtdTableReader;
  /** VTD_TTM of the root table. */
  mode: number;
  /** FPD was set in an entry on the way. */
  faultsDisabled: boolean;
  /** The PASID that the request has or was given, or NO_PASID. */
  pasid: number;
  domain: number;
  kind: VtdKind;
  /** Whether the requester's translation requests are answered. */
  deviceTlb: boolean;
  firstStage: FirstStage;
  secondStage: SecondStage;

  private readonly caches: VtdCaches | undefined;
  /** What {@link locate} fills. */
  private readonly located: VtdContext;
  /** What was taken from the cache, while it is what the fields above say: until {@link locate}, which comes before a change. */
  private adopted: VtdContext | undefined;
  private readonly capabilities: VtdCapabilities;
  private readonly reserved: VtdReserved;
  /** First address that is too large for the second stage, by levels. */
  private readonly limits: readonly number[];
  private root: number;

  /**
   * @param physical  the space that the tables' addresses are of
   * @param hostWidth bits of a physical address, 32 to 52
   * @param caches    remember what walks found; each walk is of the tables as they are now without
   */
  constructor(physical: AddressSpace, capabilities: VtdCapabilities, hostWidth: number, caches?: VtdCaches) {
    this.reader = new VtdTableReader(physical);
    this.capabilities = capabilities;
    this.reserved = reservedBits(capabilities, hostWidth);
    this.paging = new VtdPaging(this.reader, this.reserved, capabilities, caches);
    this.caches = caches;
    this.mode = VTD_TTM.LEGACY;
    this.faultsDisabled = false;
    this.pasid = NO_PASID;
    this.domain = 0;
    this.kind = VTD_KIND.SECOND_STAGE;
    this.deviceTlb = false;
    this.adopted = undefined;
    this.located = newContext();
    this.firstStage = this.located.firstStage;
    this.secondStage = this.located.secondStage;
    // Addresses past 2^53 cannot be told apart, so 57 bits end there.
    this.limits = [0, 1, 2, 3, 4, 5].map((levels) => 2 ** Math.min(capabilities.mgaw, levels * 9 + 12, 53));
    this.root = 0;
  }

  /** Take over a value of RTADDR. An address that no entry could hold is outside memory, and every walk ends there. */
  setRoot(low: number, high: number): void {
    this.root = high * WORD + ((low & 0xffff_f000) >>> 0);
    this.mode = this.capabilities.scalable ? (low >>> 10) & 3 : VTD_TTM.LEGACY;
  }

  /** A second walk of the same tables that sets no accessed or dirty bits and tells `trace` what it reads. */
  spectator(physical: AddressSpace, hostWidth: number, trace: VtdTrace | undefined): VtdWalk {
    const walk = new VtdWalk(physical, this.capabilities, hostWidth);
    walk.root = this.root;
    walk.mode = this.mode;
    walk.reader.readOnly = true;
    walk.reader.trace = trace;
    return walk;
  }

  /**
   * Find where an address of a requester leads; `paging` has the result, unless `kind` says PASS_THROUGH.
   * @returns WALK.OK or a code of VTD_FAULT
   */
  walk(sourceId: number, pasid: number, address: number, access: number): number {
    const { caches } = this;
    if (caches === undefined) return this.walkTables(sourceId, pasid, address, access);
    const known = caches.contexts.find(sourceId, pasid);
    if (known === undefined) caches.contextMisses++;
    else {
      caches.contextHits++;
      if (this.walkFrom(known, address, access) === WALK.OK) return WALK.OK;
      caches.repeated++;
    }
    return this.walkTables(sourceId, pasid, address, access);
  }

  /** What a requester's tables say, cached or not: the fields, or a code of VTD_FAULT. */
  find(sourceId: number, pasid: number): number {
    const known = this.caches?.contexts.find(sourceId, pasid);
    if (known === undefined) return this.locate(sourceId, pasid);
    if (this.adopted !== known) this.adopt(known);
    return WALK.OK;
  }

  /** Begin with what is cached. A fault may be one of the past: only the tables themselves decide on one. */
  private walkFrom(known: VtdContext, address: number, access: number): number {
    if (this.adopted !== known) this.adopt(known);
    this.paging.shortened = true;
    const reason = this.translate(address, access);
    this.paging.shortened = false;
    return reason;
  }

  private adopt(known: VtdContext): void {
    this.faultsDisabled = false;
    this.pasid = known.givenPasid;
    this.domain = known.domain;
    this.kind = known.kind as VtdKind;
    this.deviceTlb = known.deviceTlb;
    this.firstStage = known.firstStage;
    this.secondStage = known.secondStage;
    this.adopted = known;
  }

  private walkTables(sourceId: number, pasid: number, address: number, access: number): number {
    for (let tries = 0; tries < TRIES; tries++) {
      let reason = this.locate(sourceId, pasid);
      if (reason !== WALK.OK) return reason;
      if (this.caches !== undefined) this.remember(this.caches, sourceId, pasid);
      reason = this.translate(address, access);
      if (reason === WALK.RESTART) continue;
      return this.mode === VTD_TTM.LEGACY && reason !== WALK.OK ? legacyReason(reason, access) : reason;
    }
    return this.kind === VTD_KIND.SECOND_STAGE ? F.SS_ACCESS : F.FS_BIT_UPDATE;
  }

  /** The tables of a requester: `kind`, `domain`, `firstStage` and `secondStage`, or a code of VTD_FAULT. */
  locate(sourceId: number, pasid: number): number {
    this.faultsDisabled = false;
    this.pasid = pasid;
    this.domain = 0;
    this.deviceTlb = false;
    this.adopted = undefined;
    this.firstStage = this.located.firstStage;
    this.secondStage = this.located.secondStage;
    if (this.mode === VTD_TTM.LEGACY) return pasid === NO_PASID ? this.legacyContext(sourceId) : F.LEGACY_WITH_PASID;
    return this.mode === VTD_TTM.SCALABLE ? this.scalableContext(sourceId) : F.RTADDR_TTM;
  }

  private remember(caches: VtdCaches, sourceId: number, pasid: number): void {
    const { located } = this;
    located.sourceId = sourceId;
    located.pasid = pasid;
    located.givenPasid = this.pasid;
    located.domain = this.domain;
    located.kind = this.kind;
    located.deviceTlb = this.deviceTlb;
    caches.contexts.insert(located);
  }

  private translate(address: number, access: number): number {
    let reason: number = WALK.OK;
    switch (this.kind) {
      case VTD_KIND.SECOND_STAGE:
        reason = this.paging.second(this.secondStage, address, access);
        break;
      case VTD_KIND.FIRST_STAGE:
        reason = this.paging.first(this.firstStage, undefined, address, access);
        break;
      case VTD_KIND.NESTED:
        reason = this.paging.first(this.firstStage, this.secondStage, address, access);
        break;
      default:
        // Only a request with PASID comes here with an address in the interrupt range.
        if (!(address >= 0 && address < 2 ** 53)) return F.SM_ADDRESS_WIDTH;
        return isInterruptAddress(address) ? F.SM_INTERRUPT_RANGE : WALK.OK;
    }
    if (reason !== WALK.OK) return reason;
    return isInterruptAddress(this.paging.physical) ? F.SM_INTERRUPT_RANGE : WALK.OK;
  }

  /** VT-d 4.0 §9.1, §9.3. */
  private legacyContext(sourceId: number): number {
    const { reader, reserved, capabilities } = this;
    const words = reader.words;
    if (!reader.read('root', 0, this.root + (sourceId >>> 8) * VTD_ROOT_ENTRY.SIZE, VTD_ROOT_ENTRY.SIZE))
      return F.ROOT_ACCESS;
    if ((words[0]! & VTD_ROOT_ENTRY.P) === 0) return F.ROOT_P;
    if ((words[0]! & VTD_ROOT_ENTRY.RESERVED_LOW) !== 0 || (words[1]! & reserved.pointerHigh) !== 0)
      return F.ROOT_RESERVED;
    if (words[2] !== 0 || words[3] !== 0) return F.ROOT_RESERVED;
    const table = tableBase(words[0]!, words[1]!);
    if (!reader.read('context', 0, table + (sourceId & 0xff) * CE.SIZE, CE.SIZE)) return F.CONTEXT_ACCESS;
    const word0 = words[0]!;
    const word2 = words[2]!;
    // FPD counts whether the entry is present or not.
    this.faultsDisabled = (word0 & CE.word0.FPD) !== 0;
    if ((word0 & CE.word0.P) === 0) return F.CONTEXT_P;
    if ((word0 & CE.word0.RESERVED) !== 0 || (words[1]! & reserved.pointerHigh) !== 0) return F.CONTEXT_RESERVED;
    if ((word2 & reserved.contextWord2) !== 0 || words[3] !== 0) return F.CONTEXT_RESERVED;
    const aw = word2 & CE.word2.AW;
    const levels = levelsOfWidth(aw, capabilities.sagaw);
    if (levels === 0) return F.CONTEXT_INVALID;
    this.domain = (word2 >>> CE.word2.DID_SHIFT) & 0xffff;
    switch ((word0 >>> CE.word0.TT_SHIFT) & 3) {
      case VTD_TT.UNTRANSLATED:
        break;
      case VTD_TT.DEVICE_TLB:
        if (!capabilities.deviceTlb) return F.CONTEXT_INVALID;
        this.deviceTlb = true;
        break;
      case VTD_TT.PASS_THROUGH:
        if (!capabilities.passThrough) return F.CONTEXT_INVALID;
        this.kind = VTD_KIND.PASS_THROUGH;
        return WALK.OK;
      default:
        return F.CONTEXT_INVALID;
    }
    this.kind = VTD_KIND.SECOND_STAGE;
    this.setSecondStage(word0, words[1]!, levels, false);
    return WALK.OK;
  }

  /** VT-d 4.0 §9.2, §9.4: root and context entry, then PASID directory and table. */
  private scalableContext(sourceId: number): number {
    const { reader, reserved, capabilities } = this;
    const words = reader.words;
    if (!reader.read('root', 0, this.root + (sourceId >>> 8) * VTD_ROOT_ENTRY.SIZE, VTD_ROOT_ENTRY.SIZE))
      return F.SM_ROOT_ACCESS;
    // Devices 0 to 15 of a bus are in the lower half's table, the others in the upper half's.
    const half = (sourceId & 0x80) === 0 ? 0 : 2;
    const root0 = words[half]!;
    const root1 = words[half + 1]!;
    if ((root0 & VTD_ROOT_ENTRY.P) === 0) return F.SM_ROOT_P;
    if ((root0 & VTD_ROOT_ENTRY.RESERVED_LOW) !== 0 || (root1 & reserved.pointerHigh) !== 0) return F.SM_ROOT_RESERVED;
    const at = tableBase(root0, root1) + (sourceId & 0x7f) * SCE.SIZE;
    if (!reader.read('context', 0, at, SCE.SIZE)) return F.SM_CONTEXT_ACCESS;
    const word0 = words[0]!;
    const word1 = words[1]!;
    const word2 = words[2]!;
    this.faultsDisabled = (word0 & SCE.word0.FPD) !== 0;
    if ((word0 & SCE.word0.P) === 0) return F.SM_CONTEXT_P;
    const ridReserved = capabilities.ridPasid ? SCE.word2.RESERVED : ~SCE.word2.RID_PRIV;
    if ((word0 & SCE.word0.RESERVED) !== 0 || (word1 & reserved.pointerHigh) !== 0) return F.SM_CONTEXT_RESERVED;
    if ((word2 & ridReserved) !== 0 || words[3] !== 0) return F.SM_CONTEXT_RESERVED;
    if (words[4] !== 0 || words[5] !== 0 || words[6] !== 0 || words[7] !== 0) return F.SM_CONTEXT_RESERVED;
    this.deviceTlb = capabilities.deviceTlb && (word0 & SCE.word0.DTE) !== 0;
    // PDTS: the directory has 2^(PDTS + 7) entries, each for 64 PASIDs.
    const pasids = 1 << (((word0 >>> SCE.word0.PDTS_SHIFT) & 7) + 13);
    let privileged = false;
    if (this.pasid === NO_PASID) {
      this.pasid = word2 & SCE.word2.RID_PASID;
      privileged = (word2 & SCE.word2.RID_PRIV) !== 0;
      if (this.pasid >= pasids) return F.SM_RID_PASID;
    } else {
      if (!capabilities.pasid || (word0 & SCE.word0.PASIDE) === 0) return F.SM_PASID_DISABLED;
      if (this.pasid >= pasids || this.pasid >= 1 << capabilities.pasidBits) return F.SM_PASID_LARGE;
    }
    const directory = tableBase(word0, word1) + (this.pasid >>> 6) * VTD_PASID_DIR_ENTRY.SIZE;
    return this.pasidEntry(directory, privileged);
  }

  /** VT-d 4.0 §9.5, §9.6. */
  private pasidEntry(directory: number, privileged: boolean): number {
    const { reader, reserved, capabilities } = this;
    const words = reader.words;
    if (!reader.read('pasid-directory', 0, directory, VTD_PASID_DIR_ENTRY.SIZE)) return F.PASID_DIRECTORY_ACCESS;
    if ((words[0]! & VTD_PASID_DIR_ENTRY.FPD) !== 0) this.faultsDisabled = true;
    if ((words[0]! & VTD_PASID_DIR_ENTRY.P) === 0) return F.PASID_DIRECTORY_P;
    if ((words[0]! & VTD_PASID_DIR_ENTRY.RESERVED) !== 0 || (words[1]! & reserved.pointerHigh) !== 0)
      return F.PASID_DIRECTORY_RESERVED;
    const at = tableBase(words[0]!, words[1]!) + (this.pasid & 63) * PE.SIZE;
    if (!reader.read('pasid-table', 0, at, PE.SIZE)) return F.PASID_TABLE_ACCESS;
    const word0 = words[0]!;
    const word4 = words[4]!;
    if ((word0 & PE.word0.FPD) !== 0) this.faultsDisabled = true;
    if ((word0 & PE.word0.P) === 0) return F.PASID_TABLE_P;
    if (pasidReserved(words, reserved.pointerHigh, capabilities.extendedAccess)) return F.PASID_TABLE_RESERVED;
    this.domain = words[2]! & 0xffff;
    const type = (word0 >>> PE.word0.PGTT_SHIFT) & 7;
    if (type === VTD_PGTT.PASS_THROUGH) {
      if (!capabilities.passThrough) return F.PASID_TABLE_INVALID;
      this.kind = VTD_KIND.PASS_THROUGH;
      return WALK.OK;
    }
    const nested = type === VTD_PGTT.NESTED;
    if (nested ? !capabilities.nested : type !== VTD_PGTT.FIRST_STAGE && type !== VTD_PGTT.SECOND_STAGE)
      return F.PASID_TABLE_INVALID;
    if (type !== VTD_PGTT.FIRST_STAGE) {
      const levels = levelsOfWidth((word0 >>> PE.word0.AW_SHIFT) & 7, capabilities.sagaw);
      if (!capabilities.secondStage || levels === 0) return F.PASID_TABLE_INVALID;
      const accessDirty = capabilities.secondStageAccessDirty && (word0 & PE.word0.SSADE) !== 0;
      this.setSecondStage(word0, words[1]!, levels, accessDirty);
      this.kind = nested ? VTD_KIND.NESTED : VTD_KIND.SECOND_STAGE;
      if (!nested) return WALK.OK;
    }
    const mode = (word4 >>> PE.word4.FSPM_SHIFT) & 3;
    if (!capabilities.firstStage || mode > 1 || (mode === 1 && !capabilities.firstStage5Level))
      return F.PASID_TABLE_INVALID;
    if (!nested) this.kind = VTD_KIND.FIRST_STAGE;
    const first = this.firstStage;
    first.base = tableBase(word4, words[5]!);
    first.domain = this.domain;
    first.levels = mode + 4;
    first.user = !privileged;
    first.writeProtect = (word4 & PE.word4.WPE) !== 0;
    first.extendedAccess = (word4 & PE.word4.EAFE) !== 0;
    return WALK.OK;
  }

  private setSecondStage(low: number, high: number, levels: number, accessDirty: boolean): void {
    const stage = this.secondStage;
    stage.base = tableBase(low, high);
    stage.domain = this.domain;
    stage.levels = levels;
    stage.limit = this.limits[levels]!;
    stage.accessDirty = accessDirty;
  }
}

function pasidReserved(words: Uint32Array, pointerHigh: number, extendedAccess: boolean): boolean {
  const word4 = extendedAccess ? PE.word4.RESERVED : PE.word4.RESERVED | PE.word4.EAFE;
  if ((words[0]! & PE.word0.RESERVED) !== 0 || (words[1]! & pointerHigh) !== 0) return true;
  if ((words[2]! & PE.word2.RESERVED) !== 0) return true;
  if ((words[4]! & word4) !== 0 || (words[5]! & pointerHigh) !== 0) return true;
  for (let i = PE.FIRST_RESERVED_WORD; i < PE.SIZE / 4; i++) if (words[i] !== 0) return true;
  return false;
}
