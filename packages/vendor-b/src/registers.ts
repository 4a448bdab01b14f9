import {
  VB_ARM,
  VB_CAPABILITY,
  VB_DOORBELL,
  VB_FAULT,
  VB_MAGIC,
  VB_REG,
  VB_STATUS,
  VB_VERSION,
  VENDOR_B_BAR,
  VENDOR_B_COUNT,
} from '@ringwire/nic-spec/vendor-b';
import type { BarRegion, PieceSize } from '@ringwire/pci';
import type { AdminEngine } from './admin-engine.js';
import { PHYSICAL, type VendorBFunction } from './vendor-b-function.js';

const PAGE = VENDOR_B_BAR.DOORBELL_PAGE;
const WORD = 4;

/** A function's registers and doorbells, as regions of its BAR. What a write leads to is noted, and done in a step. */
export class FunctionRegisters {
  private readonly function_: VendorBFunction;
  private readonly admin: AdminEngine;
  private readonly wake: () => void;
  /** Low words of doorbells: of submission ring i, then of completion ring i. */
  private readonly low = new Uint32Array(2 * VENDOR_B_COUNT.PAGES);

  constructor(function_: VendorBFunction, admin: AdminEngine, wake: () => void) {
    this.function_ = function_;
    this.admin = admin;
    this.wake = wake;
  }

  regions(): BarRegion[] {
    return [
      {
        offset: VENDOR_B_BAR.REGISTERS,
        size: VENDOR_B_BAR.REGISTERS_BYTES,
        read: (at, size) => part(this.read(at & -WORD), at, size),
        write: (at, size, value) => {
          if (size === WORD) this.write(at, value >>> 0);
        },
      },
      {
        offset: VENDOR_B_BAR.DOORBELLS,
        size: VENDOR_B_COUNT.PAGES * PAGE,
        read: () => 0,
        write: (at, size, value) => this.ring(Math.floor(at / PAGE), at % PAGE, size, value >>> 0),
      },
    ];
  }

  private read(at: number): number {
    switch (at) {
      case VB_REG.ID:
        return VB_MAGIC;
      case VB_REG.VERSION:
        return (VB_VERSION.MAJOR << 16) | VB_VERSION.MINOR;
      case VB_REG.CAPABILITIES:
        return VB_CAPABILITY.VIRTIO | (this.function_.index === PHYSICAL ? VB_CAPABILITY.PHYSICAL : 0);
      case VB_REG.STATUS:
        return this.status();
      case VB_REG.ADMIN_ADDRESS:
        return this.admin.low;
      case VB_REG.ADMIN_ADDRESS_HIGH:
        return this.admin.high;
      case VB_REG.ADMIN_DOORBELL:
        return this.admin.pending;
      default:
        return 0;
    }
  }

  private write(at: number, value: number): void {
    if (at === VB_REG.ADMIN_ADDRESS) this.admin.low = value;
    else if (at === VB_REG.ADMIN_ADDRESS_HIGH) this.admin.high = value;
    else if (at === VB_REG.RESET && value === 1) {
      this.low.fill(0);
      this.function_.reset();
    } else if (at === VB_REG.ADMIN_DOORBELL && this.admin.pending === 0 && value >= 1 && value <= 0xffff) {
      this.admin.pending = value;
      this.wake();
    }
  }

  private status(): number {
    const { fault, faultRing, isSuspended, virtio } = this.function_;
    const modes = (isSuspended ? VB_STATUS.SUSPENDED : 0) | (virtio === undefined ? 0 : VB_STATUS.VIRTIO);
    if (fault === VB_FAULT.NONE) return VB_STATUS.READY | modes;
    return modes | VB_STATUS.FATAL | (fault << VB_STATUS.FAULT_SHIFT) | (faultRing << VB_STATUS.RING_SHIFT);
  }

  /** A write to a page of doorbells. */
  private ring(page: number, at: number, size: PieceSize, value: number): void {
    const { virtio, native, counters } = this.function_;
    if (virtio !== undefined && at === 0 && page < virtio.queues) {
      virtio.device.notify(page);
      return;
    }
    const isHigh = (at & WORD) !== 0;
    const isSubmission = at < VB_DOORBELL.COMPLETION;
    const slot = isSubmission ? page : VENDOR_B_COUNT.PAGES + page;
    if (virtio !== undefined || size !== WORD || at > VB_DOORBELL.COMPLETION_HIGH) counters.doorbellsIgnored++;
    else if (!isHigh) this.low[slot] = value;
    else {
      const index = this.low[slot]! & 0xffff;
      const generation = value & 0xffff;
      const isKnown = isSubmission
        ? native.produce(page, index, generation)
        : native.consume(page, index, generation, value >= VB_ARM);
      if (isKnown) this.wake();
      else counters.doorbellsIgnored++;
    }
  }
}

/** Bytes of a 32-bit register. */
const part = (word: number, at: number, size: PieceSize): number =>
  size === WORD ? word >>> 0 : (word >>> ((at & 3) * 8)) & (size === 1 ? 0xff : 0xffff);
