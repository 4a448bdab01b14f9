import { NO_PASID } from './translation.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import type { VtdFaults } from './vtd-faults.js';
import { VTD_FAULT } from './vtd-reasons.js';
import { VTD_GCMD, VTD_IRTA, VTD_REG } from './vtd-registers.js';
import type { VtdTableReader } from './vtd-table-reader.js';
import { VTD_IRTE } from './vtd-tables.js';

const F = VTD_FAULT;
const IRTE = VTD_IRTE;
const GSTS = VTD_REG.GSTS.at >>> 2;
const WORD = 0x1_0000_0000;

/** What became of an interrupt request. */
export const REMAPPED = {
  /** `out` has the message that the entry describes. */
  REMAPPED: 0,
  /** Remapping is off, or lets the compatibility format through: `out` has the message as it was. */
  UNCHANGED: 1,
  /** Blocked; a fault was recorded, unless the entry's FPD said no. */
  BLOCKED: 2,
} as const;
/** One of {@link REMAPPED}. */
export type Remapped = (typeof REMAPPED)[keyof typeof REMAPPED];

/** Caller-owned: an interrupt message for the processors. The upper address has bits 31:8 of a large destination. */
export interface InterruptMessage {
  addressLow: number;
  addressHigh: number;
  data: number;
}

/** An empty message, for its caller to keep and reuse. */
export const newInterruptMessage = (): InterruptMessage => ({ addressLow: 0, addressHigh: 0, data: 0 });

/** Source id verification, SVT and SQ (VT-d 4.0 §9.10). */
const SVT = { NONE: 0, SOURCE_ID: 1, BUS: 2, RESERVED: 3 } as const;

/**
 * Interrupt remapping (VT-d 4.0 §5.1): the remappable format is looked up in the table, every time anew. The posted
 * format is not offered (CAP.PI is 0), so an entry with IM set has a reserved bit set.
 */
export class VtdInterruptRemap {
  private readonly words: Uint32Array;
  private readonly reader: VtdTableReader;
  private readonly extended: boolean;
  private readonly faults: VtdFaults;
  private table: number;
  private entries: number;
  private extendedMode: boolean;

  constructor(words: Uint32Array, reader: VtdTableReader, capabilities: VtdCapabilities, faults: VtdFaults) {
    this.words = words;
    this.reader = reader;
    this.extended = capabilities.extendedInterruptMode;
    this.faults = faults;
    this.table = 0;
    this.entries = 0;
    this.extendedMode = false;
  }

  /** Take over a value of IRTA. */
  setTable(low: number, high: number): void {
    this.table = high * WORD + ((low & 0xffff_f000) >>> 0);
    this.entries = 2 << (low & VTD_IRTA.S);
    this.extendedMode = this.extended && (low & VTD_IRTA.EIME) !== 0;
  }

  /** @param addressLow 0xfee00000 to 0xfeefffff; @param data 32 bits */
  remap(sourceId: number, addressLow: number, data: number, out: InterruptMessage): Remapped {
    out.addressLow = addressLow;
    out.addressHigh = 0;
    out.data = data;
    const status = this.words[GSTS]!;
    if ((status & VTD_GCMD.IRE) === 0) return REMAPPED.UNCHANGED;
    // Bit 4 tells the remappable format from the compatibility one.
    if ((addressLow & 0x10) === 0) {
      if ((status & VTD_GCMD.CFI) !== 0 && !this.extendedMode) return REMAPPED.UNCHANGED;
      return this.block(sourceId, 0, F.IR_COMPATIBILITY, false);
    }
    // Handle 14:0 in address bits 19:5, 15 in bit 2; SHV in bit 3 adds the data's lower half.
    const handle = ((addressLow >>> 5) & 0x7fff) | ((addressLow & 4) << 13);
    const subhandle = (addressLow & 8) !== 0;
    if (subhandle && data >>> 16 !== 0) return this.block(sourceId, handle, F.IR_REQUEST_RESERVED, false);
    const index = subhandle ? handle + (data & 0xffff) : handle;
    if (index >= this.entries) return this.block(sourceId, index, F.IR_INDEX, false);
    if (!this.reader.read('irte', 0, this.table + index * IRTE.SIZE, IRTE.SIZE))
      return this.block(sourceId, index, F.IR_TABLE_ACCESS, false);
    const entry = this.reader.words;
    const word0 = entry[0]!;
    const reason = this.checkEntry(entry, sourceId);
    if (reason !== 0) return this.block(sourceId, index, reason, (word0 & IRTE.word0.FPD) !== 0);
    this.compose(word0, entry[1]!, out);
    return REMAPPED.REMAPPED;
  }

  private checkEntry(entry: Uint32Array, sourceId: number): number {
    const word0 = entry[0]!;
    const word2 = entry[2]!;
    if ((word0 & IRTE.word0.P) === 0) return F.IR_ENTRY_P;
    if ((word0 & (IRTE.word0.RESERVED | IRTE.word0.IM)) !== 0) return F.IR_ENTRY_RESERVED;
    if ((word2 & IRTE.word2.RESERVED) !== 0 || entry[3] !== 0) return F.IR_ENTRY_RESERVED;
    // Without x2APIC the destination is 8 bits wide, in 15:8 of its word.
    if (!this.extendedMode && (entry[1]! & 0xffff_00ff) !== 0) return F.IR_ENTRY_RESERVED;
    const sid = word2 & IRTE.word2.SID;
    switch ((word2 >>> IRTE.word2.SVT_SHIFT) & 3) {
      case SVT.NONE:
        return 0;
      case SVT.SOURCE_ID: {
        // SQ leaves out as many bits of the function number, from its top.
        const ignored = (0b111 << (3 - ((word2 >>> IRTE.word2.SQ_SHIFT) & 3))) & 0b111;
        return (sid & ~ignored) === (sourceId & ~ignored) ? 0 : F.IR_SOURCE_ID;
      }
      case SVT.BUS: {
        const bus = sourceId >>> 8;
        return bus >= sid >>> 8 && bus <= (sid & 0xff) ? 0 : F.IR_SOURCE_ID;
      }
      default:
        return F.IR_ENTRY_RESERVED;
    }
  }

  private compose(word0: number, destination: number, out: InterruptMessage): void {
    const id = this.extendedMode ? destination : (destination >>> 8) & 0xff;
    // RH and DM are bits 3 and 2 in both.
    out.addressLow = (0xfee0_0000 | ((id & 0xff) << 12) | (word0 & (IRTE.word0.RH | IRTE.word0.DM))) >>> 0;
    out.addressHigh = (id & 0xffff_ff00) >>> 0;
    const vector = (word0 >>> IRTE.word0.VECTOR_SHIFT) & 0xff;
    const mode = (word0 >>> IRTE.word0.DLM_SHIFT) & 7;
    const level = (word0 & IRTE.word0.TM) === 0 ? 0 : 1 << 15;
    // Bit 14: asserted.
    out.data = vector | (mode << 8) | (1 << 14) | level;
  }

  private block(sourceId: number, index: number, reason: number, faultsDisabled: boolean): Remapped {
    if (faultsDisabled) this.faults.hide();
    else this.faults.record(0, (index << 16) >>> 0, sourceId, NO_PASID, reason, false);
    return REMAPPED.BLOCKED;
  }
}
