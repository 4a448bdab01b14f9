import { VirtioError } from '@ringwire/virtio-spec';
import type { VtdCapabilities } from './vtd-capabilities.js';
import { VTD_FRCD, VTD_IOTLB_REG, VTD_REG, type VtdRegisterRow } from './vtd-registers.js';
import { VTD_STATE_WORDS, VtdUnitState } from './vtd-unit-state.js';

const PAGE = 4096;
/** Offsets that no capability can move. */
const FIXED_END = 0xc0;

/** The bytes of a unit's registers, and what of them software can change. Effects are the unit's. */
export class VtdRegisterFile {
  /** Registers and state: what another thread's unit joins with, if the platform has shared memory. */
  readonly shared: Uint32Array;
  readonly words: Uint32Array;
  readonly state: VtdUnitState;
  /** Bytes, whole pages. */
  readonly size: number;

  private readonly writable: Uint32Array;
  /** Word index of IVA, the one register that keeps what is written and does not show it. */
  private readonly hidden: number;

  /**
   * @param shared the `shared` words of another thread's
   * @param owner  of a thread that may be ended from outside
   */
  constructor(capabilities: VtdCapabilities, shared?: Uint32Array, owner?: number) {
    const { faultRegisters, faultRegisterCount, iotlbRegisters } = capabilities;
    const faultEnd = faultRegisters + faultRegisterCount * VTD_FRCD.SIZE;
    if (faultRegisters < FIXED_END)
      throw new VirtioError('CAP.FRO', faultRegisters, `an offset from ${FIXED_END} on`, 'VT-d 4.0 §11.4.2');
    if (iotlbRegisters < FIXED_END || (iotlbRegisters < faultEnd && faultRegisters < iotlbRegisters + 16))
      throw new VirtioError('ECAP.IRO', iotlbRegisters, 'an offset apart from other registers', 'VT-d 4.0 §11.4.3');
    this.size = Math.ceil(Math.max(faultEnd, iotlbRegisters + 16) / PAGE) * PAGE;
    this.hidden = (iotlbRegisters + VTD_IOTLB_REG.IVA.at) >>> 2;
    const count = this.size / 4;
    this.shared = shared ?? new Uint32Array(newBuffer((count + VTD_STATE_WORDS) * 4));
    if (this.shared.length !== count + VTD_STATE_WORDS)
      throw new VirtioError('registers', this.shared.length, `${count + VTD_STATE_WORDS} words`, 'VtdUnit');
    this.words = this.shared.subarray(0, count);
    this.state = new VtdUnitState(new Int32Array(this.shared.buffer, this.shared.byteOffset + this.size), owner);
    this.writable = new Uint32Array(this.size / 4);
    for (const row of Object.values(VTD_REG)) this.allow(row, 0);
    for (const row of Object.values(VTD_IOTLB_REG)) this.allow(row, iotlbRegisters);
    // Without scalable mode, descriptors have one size and tables one kind.
    if (!capabilities.scalable) {
      this.deny(VTD_REG.IQA.at, 0x800);
      this.deny(VTD_REG.RTADDR.at, 0xc00);
    }
  }

  /** Whether an aligned access lies in the registers. */
  has(offset: number, size: number): boolean {
    return Number.isInteger(offset) && offset >= 0 && offset % size === 0 && offset + size <= this.size;
  }

  read(offset: number, size: 1 | 2 | 4 | 8): number | bigint {
    if (!this.has(offset, size) || offset >>> 3 === this.hidden >>> 1) return size === 8 ? 0n : 0;
    // The upper half first: in a fault record it says whether the lower one is to be looked at.
    const high = size === 8 ? Atomics.load(this.words, (offset >>> 2) + 1) : 0;
    const low = Atomics.load(this.words, offset >>> 2);
    if (size === 8) return (BigInt(high) << 32n) | BigInt(low);
    return size === 4 ? low : (low >>> ((offset & 3) * 8)) & (size === 1 ? 0xff : 0xffff);
  }

  /** Software's write of a word, with the lock held: only writable bits change. Bits that go by writing 1 are left to their owners. */
  store(offset: number, value: number): void {
    const at = offset >>> 2;
    const mask = this.writable[at]!;
    this.words[at] = (this.words[at]! & ~mask) | (value & mask);
  }

  /** The unit's own write: every bit. Past the end nothing happens. */
  set(offset: number, value: number): void {
    if (this.has(offset, 4)) this.words[offset >>> 2] = value;
  }

  private allow(row: VtdRegisterRow, base: number): void {
    const at = (base + row.at) >>> 2;
    this.writable[at] = row.writable[0];
    if (row.bytes === 8) this.writable[at + 1] = row.writable[1];
  }

  private deny(offset: number, bits: number): void {
    this.writable[offset >>> 2] = this.writable[offset >>> 2]! & ~bits;
  }
}

/** Shared where the platform has that: a page that is not isolated has no second thread to share with. */
const newBuffer = (bytes: number): ArrayBufferLike =>
  typeof SharedArrayBuffer === 'undefined' ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes);
