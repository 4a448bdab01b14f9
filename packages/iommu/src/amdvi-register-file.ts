import { VirtioError } from '@ringwire/virtio-spec';
import {
  AMDVI_CONTROL,
  AMDVI_ENTRY_BYTES,
  AMDVI_FEATURE,
  AMDVI_MIN_LENGTH,
  AMDVI_MMIO_BYTES,
  AMDVI_REGISTERS,
  AMDVI_STATUS,
  type AmdViRegisterRow,
} from './amdvi-registers.js';

const WORD = 0x1_0000_0000;
const CONTROL32 = AMDVI_REGISTERS.Control.at >> 2;
const STATUS32 = AMDVI_REGISTERS.Status.at >> 2;
const { EventIntEn, ComWaitIntEn } = AMDVI_CONTROL;
const { EventOverflow, EventLogInt, ComWaitInt } = AMDVI_STATUS;
const CLEARED_BY_ONE = EventOverflow | EventLogInt | ComWaitInt;

/** Bits that software may change, per word of the MMIO range. */
const WRITABLE32 = writableWords();

/** The words of the registers, and the interrupt that follows from Status and Control. What a write sets off is not here. */
export class AmdViRegisterFile {
  private readonly word32: Uint32Array;
  private readonly interrupt: () => void;

  /**
   * @param levels    page-table levels that Mode may ask for: 4, 5 or 6
   * @param interrupt the unit's one interrupt, sent when an enabled cause appears, not again while that cause stays
   */
  constructor(levels: number, interrupt: () => void) {
    if (levels !== 4 && levels !== 5 && levels !== 6)
      throw new VirtioError('levels', levels, '4, 5 or 6', 'AMD IOMMU spec 3.x §3.4, HATS');
    this.word32 = new Uint32Array(AMDVI_MMIO_BYTES >> 2);
    this.interrupt = interrupt;
    const feature32 = AMDVI_REGISTERS.ExtendedFeature.at >> 2;
    this.word32[feature32] = AMDVI_FEATURE.low.IASup | ((levels - 4) << AMDVI_FEATURE.low.HATS_SHIFT);
    this.word32[feature32 + 1] = AMDVI_FEATURE.high.HASup | AMDVI_FEATURE.high.HDSup;
  }

  get control(): number {
    return this.word32[CONTROL32]!;
  }

  get status(): number {
    return this.word32[STATUS32]!;
  }

  /** The word at a byte offset: a multiple of 4; 0 outside the registers. */
  word(offset: number): number {
    return this.word32[offset >>> 2] ?? 0;
  }

  /** The 4 KiB aligned address in bits 51:12 of a register. */
  address(row: AmdViRegisterRow): number {
    const at = row.at >> 2;
    return (this.word32[at + 1]! & 0xf_ffff) * WORD + ((this.word32[at]! & 0xffff_f000) >>> 0);
  }

  /** Bytes of the command buffer or event log behind a base register; 0 for a reserved length. */
  ringBytes(row: AmdViRegisterRow): number {
    const length = (this.word32[(row.at >> 2) + 1]! >>> 24) & 0xf;
    return length < AMDVI_MIN_LENGTH ? 0 : AMDVI_ENTRY_BYTES << length;
  }

  /** Change the bits of a word that software may write; Status: clear the ones that are written as 1. */
  store(offset: number, value: number): void {
    const at = offset >>> 2;
    if (at === STATUS32) {
      this.word32[STATUS32]! &= ~(value & CLEARED_BY_ONE);
      return;
    }
    const pending = this.pending();
    const writable = WRITABLE32[at] ?? 0;
    if (writable !== 0) this.word32[at] = (this.word32[at]! & ~writable) | (value & writable);
    if ((this.pending() & ~pending) !== 0) this.interrupt();
  }

  /** A head or tail pointer, as the unit moves it. */
  setPointer(row: AmdViRegisterRow, bytes: number): void {
    this.word32[row.at >> 2] = bytes;
  }

  raise(bits: number): void {
    const pending = this.pending();
    this.word32[STATUS32]! |= bits;
    if ((this.pending() & ~pending) !== 0) this.interrupt();
  }

  lower(bits: number): void {
    this.word32[STATUS32]! &= ~bits;
  }

  /** Status bits that ask for an interrupt now. */
  private pending(): number {
    const control = this.control;
    const events = (control & EventIntEn) === 0 ? 0 : EventOverflow | EventLogInt;
    const waits = (control & ComWaitIntEn) === 0 ? 0 : ComWaitInt;
    return this.status & (events | waits);
  }
}

function writableWords(): Uint32Array {
  const words = new Uint32Array(AMDVI_MMIO_BYTES >> 2);
  for (const row of Object.values(AMDVI_REGISTERS)) words.set(row.writable, row.at >> 2);
  return words;
}
