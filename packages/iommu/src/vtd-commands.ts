import type { VtdCapabilities } from './vtd-capabilities.js';
import type { VtdEvent } from './vtd-event.js';
import type { VtdFaults } from './vtd-faults.js';
import type { VtdInterruptRemap } from './vtd-interrupt-remap.js';
import type { VtdInvalidator } from './vtd-invalidation.js';
import type { VtdInvalidationQueue } from './vtd-invalidation-queue.js';
import { VTD_CCMD, VTD_FRCD, VTD_FSTS, VTD_GCMD, VTD_IOTLB, VTD_IOTLB_REG, VTD_REG } from './vtd-registers.js';
import type { VtdWalk } from './vtd-walk.js';

const TE = VTD_GCMD.TE;
const word = (register: { readonly at: number }): number => register.at >>> 2;
const GSTS = word(VTD_REG.GSTS);

/** The parts of a unit that its registers drive. */
export interface VtdParts {
  readonly words: Uint32Array;
  readonly capabilities: VtdCapabilities;
  readonly walker: VtdWalk;
  readonly interrupts: VtdInterruptRemap;
  readonly invalidator: VtdInvalidator;
  readonly queue: VtdInvalidationQueue;
  readonly faults: VtdFaults;
  readonly faultEvent: VtdEvent;
  readonly completionEvent: VtdEvent;
}

/** What a write to a register sets in motion, beyond the bits that it left there. */
export class VtdCommands {
  private readonly words: Uint32Array;
  private readonly capabilities: VtdCapabilities;
  private readonly walker: VtdWalk;
  private readonly interrupts: VtdInterruptRemap;
  private readonly invalidator: VtdInvalidator;
  private readonly queue: VtdInvalidationQueue;
  private readonly faults: VtdFaults;
  private readonly faultEvent: VtdEvent;
  private readonly completionEvent: VtdEvent;
  private readonly iotlb: number;

  constructor(parts: VtdParts) {
    this.words = parts.words;
    this.capabilities = parts.capabilities;
    this.walker = parts.walker;
    this.interrupts = parts.interrupts;
    this.invalidator = parts.invalidator;
    this.queue = parts.queue;
    this.faults = parts.faults;
    this.faultEvent = parts.faultEvent;
    this.completionEvent = parts.completionEvent;
    this.iotlb = parts.capabilities.iotlbRegisters >>> 2;
  }

  /** Take over the tables that GSTS says are set, after a dump was loaded. */
  latch(): void {
    if ((this.words[GSTS]! & VTD_GCMD.SRTP) !== 0) this.latchRoot();
    if ((this.words[GSTS]! & VTD_GCMD.SIRTP) !== 0) this.latchInterruptTable();
  }

  /** @param offset of a word that software wrote; @param value as written */
  act(offset: number, value: number): void {
    switch (offset) {
      case VTD_REG.GCMD.at:
        this.command(value);
        break;
      case VTD_REG.CCMD.at + 4:
        this.contextCommand();
        break;
      case VTD_REG.FSTS.at:
        // What had stopped the invalidation queue may be gone.
        if ((this.faults.clearStatus(value) & (VTD_FSTS.IQE | VTD_FSTS.ITE)) !== 0) this.queue.run();
        break;
      case VTD_REG.FECTL.at:
        this.faultEvent.sendPending();
        break;
      case VTD_REG.ICS.at:
        this.queue.clearCompletion(value);
        break;
      case VTD_REG.IECTL.at:
        this.completionEvent.sendPending();
        break;
      case VTD_REG.IQT.at:
        this.queue.run();
        break;
      default:
        this.actElsewhere(offset, value);
    }
  }

  /** The registers whose place CAP and ECAP say. */
  private actElsewhere(offset: number, value: number): void {
    const at = offset >>> 2;
    if (at === this.iotlb + word(VTD_IOTLB_REG.IOTLB) + 1) this.iotlbCommand(at);
    const index = this.faults.indexOfWord(at);
    if (index >= 0 && offset % VTD_FRCD.SIZE === VTD_FRCD.HIGH + 4) this.faults.clearRecord(index, value);
  }

  /** VT-d 4.0 §11.4.4. Tables are taken over before what uses them is switched on. */
  private command(value: number): void {
    const { words, capabilities } = this;
    if ((value & VTD_GCMD.SRTP) !== 0) {
      words[GSTS] = words[GSTS]! | VTD_GCMD.SRTP;
      this.latchRoot();
      this.invalidator.all();
    }
    if (capabilities.interruptRemapping) {
      if ((value & VTD_GCMD.SIRTP) !== 0) {
        words[GSTS] = words[GSTS]! | VTD_GCMD.SIRTP;
        this.latchInterruptTable();
      }
      this.toggle(value, VTD_GCMD.IRE);
      this.toggle(value, VTD_GCMD.CFI);
    }
    if (capabilities.queuedInvalidation && this.toggle(value, VTD_GCMD.QIE)) {
      this.queue.rewind();
      this.queue.run();
    }
    if (this.toggle(value, TE)) this.invalidator.all();
  }

  /** @returns whether the bit of GSTS changed */
  private toggle(value: number, bit: number): boolean {
    if (((this.words[GSTS]! ^ value) & bit) === 0) return false;
    this.words[GSTS] = this.words[GSTS]! ^ bit;
    return true;
  }

  private latchRoot(): void {
    const at = word(VTD_REG.RTADDR);
    this.walker.setRoot(this.words[at]!, this.words[at + 1]!);
  }

  private latchInterruptTable(): void {
    const at = word(VTD_REG.IRTA);
    this.interrupts.setTable(this.words[at]!, this.words[at + 1]!);
  }

  /** Invalidation by register is refused (granularity 0) while the queue is in use, VT-d 4.0 §6.5.1. */
  private get byRegister(): boolean {
    return (this.words[GSTS]! & VTD_GCMD.QIE) === 0;
  }

  private contextCommand(): void {
    const at = word(VTD_REG.CCMD);
    const low = this.words[at]!;
    const high = this.words[at + 1]!;
    if ((high & VTD_CCMD.ICC) === 0) return;
    const asked = this.byRegister ? (high >>> VTD_CCMD.CIRG_SHIFT) & 3 : 0;
    const done = this.invalidator.context(asked, low & 0xffff, low >>> 16, high & VTD_CCMD.FM);
    const kept = high & ~(VTD_CCMD.ICC | (3 << VTD_CCMD.CAIG_SHIFT));
    this.words[at + 1] = kept | (done << VTD_CCMD.CAIG_SHIFT);
  }

  private iotlbCommand(at: number): void {
    const high = this.words[at]!;
    if ((high & VTD_IOTLB.IVT) === 0) return;
    const iva = this.iotlb + word(VTD_IOTLB_REG.IVA);
    const asked = this.byRegister ? (high >>> VTD_IOTLB.IIRG_SHIFT) & 3 : 0;
    const done = this.invalidator.iotlb(asked, high & VTD_IOTLB.DID, this.words[iva]!, this.words[iva + 1]!);
    const kept = high & ~(VTD_IOTLB.IVT | (3 << VTD_IOTLB.IAIG_SHIFT));
    this.words[at] = kept | (done << VTD_IOTLB.IAIG_SHIFT);
  }
}
