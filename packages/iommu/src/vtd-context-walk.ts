import type { AddressSpace } from '@ringwire/guest-memory';
import { NO_PASID } from './translation.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import { newContext, type VtdContext } from './vtd-context-cache.js';
import { type FirstStage, type SecondStage, tableBase, WALK } from './vtd-paging.js';
import { VTD_FAULT } from './vtd-reasons.js';
import { VTD_TTM } from './vtd-registers.js';
import { VtdTableReader } from './vtd-table-reader.js';
import {
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

/** What stands between a requester and its memory. */
export const VTD_KIND = { SECOND_STAGE: 0, FIRST_STAGE: 1, NESTED: 2, PASS_THROUGH: 3 } as const;
export type VtdKind = (typeof VTD_KIND)[keyof typeof VTD_KIND];

/**
 * The tables that say what a requester's paging tables are: root, context and PASID (VT-d 4.0 §3.4). The fields hold what
 * the last request met, until the next one.
 */
export class VtdContextWalk {
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

  protected readonly capabilities: VtdCapabilities;
  protected readonly reserved: VtdReserved;
  /** What {@link locate} fills. */
  protected readonly located: VtdContext;
  /** What was taken from the cache, while it is what the fields above say: until {@link locate}, which comes before a change. */
  protected adopted: VtdContext | undefined;
  protected root: number;
  /** First address that is too large for the second stage, by levels. */
  private readonly limits: readonly number[];

  /**
   * @param physical  the space that the tables' addresses are of
   * @param hostWidth bits of a physical address, 32 to 52
   */
  constructor(physical: AddressSpace, capabilities: VtdCapabilities, hostWidth: number) {
    this.reader = new VtdTableReader(physical);
    this.capabilities = capabilities;
    this.reserved = reservedBits(capabilities, hostWidth);
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
