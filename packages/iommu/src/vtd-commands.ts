import type { VtdCapabilities } from './vtd-capabilities.js';
import type { VtdEvent } from './vtd-event.js';
import type { VtdFaults } from './vtd-faults.js';
import type { VtdInterruptRemap } from './vtd-interrupt-remap.js';
import type { VtdInvalidator } from './vtd-invalidation.js';
import type { VtdInvalidationQueue } from './vtd-invalidation-queue.js';
import { VTD_CCMD, VTD_FRCD, VTD_FSTS, VTD_GCMD, VTD_IOTLB, VTD_IOTLB_REG, VTD_REG } from './vtd-registers.js';
import { VTD_STATE, type VtdUnitState } from './vtd-unit-state.js';
import type { VtdWalk } from './vtd-walk.js';

const TE = VTD_GCMD.TE;
const word = (register: { readonly at: number }): number => register.at >>> 2;
const GSTS = word(VTD_REG.GSTS);

/** The parts of a unit that its registers drive. */
export interface VtdParts {
  readonly words: Uint32Array;
  readonly state: VtdUnitState;
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
  private readonly state: VtdUnitState;
  private readonly capabilities: VtdCapabilities;
  private readonly walker: VtdWalk;
  private readonly interrupts: VtdInterruptRemap;
  private readonly invalidator: VtdInvalidator;
  private readonly queue: VtdInvalidationQueue;
  private readonly faults: VtdFaults;
  private readonly faultEvent: VtdEvent;
  private readonly completionEvent: VtdEvent;
  private readonly iotlb: number;
  /** Whether this thread's unit translates, as of its last {@link latchRoot}. */
  translating: boolean;
  /** INTERRUPT_TABLES when this thread's unit took one over. */
  private interruptTables: number;
  /** Offsets of the words that are commands. */
  private readonly commands: readonly number[];

  constructor(parts: VtdParts) {
    this.words = parts.words;
    this.state = parts.state;
    this.translating = false;
    this.interruptTables = 0;
    this.capabilities = parts.capabilities;
    this.walker = parts.walker;
    this.interrupts = parts.interrupts;
    this.invalidator = parts.invalidator;
    this.queue = parts.queue;
    this.faults = parts.faults;
    this.faultEvent = parts.faultEvent;
    this.completionEvent = parts.completionEvent;
    this.iotlb = parts.capabilities.iotlbRegisters >>> 2;
    const { GCMD, CCMD, ICS, IQT } = VTD_REG;
    const iotlb = parts.capabilities.iotlbRegisters + VTD_IOTLB_REG.IOTLB.at + 4;
    this.commands = [GCMD.at, CCMD.at + 4, ICS.at, IQT.at, iotlb];
  }

  /** Take over what GSTS says is set, after a reset or when a dump was loaded. */
  takeOver(): void {
    const status = this.words[GSTS]!;
    this.state.lock();
    this.state.words[VTD_STATE.TRANSLATING] = (status & TE) === 0 ? 0 : 1;
    if ((status & VTD_GCMD.SRTP) !== 0) this.copyRegister(word(VTD_REG.RTADDR), VTD_STATE.ROOT_LOW);
    if ((status & VTD_GCMD.SIRTP) !== 0) this.copyRegister(word(VTD_REG.IRTA), VTD_STATE.INTERRUPTS_LOW);
    this.announceInterruptTable();
    this.state.unlock();
    this.follow();
  }

  /** Have this thread's unit go by all that was taken over. */
  follow(): void {
    this.latchRoot();
    this.latchInterruptTable();
  }

  /**
   * Have this thread's unit go by what was taken over last: whether it translates, and by which root table. Between two
   * bursts, so that none mixes two of them.
   */
  latchRoot(): void {
    const { words } = this.state;
    this.state.lock();
    this.translating = words[VTD_STATE.TRANSLATING] === 1;
    this.walker.setRoot(words[VTD_STATE.ROOT_LOW]! >>> 0, words[VTD_STATE.ROOT_HIGH]! >>> 0);
    this.state.unlock();
  }

  /** The same for interrupts, each of which stands alone. */
  followInterruptTable(): void {
    if (Atomics.load(this.state.words, VTD_STATE.INTERRUPT_TABLES) !== this.interruptTables) this.latchInterruptTable();
  }

  private latchInterruptTable(): void {
    const { words } = this.state;
    this.state.lock();
    this.interruptTables = words[VTD_STATE.INTERRUPT_TABLES]!;
    this.interrupts.setTable(words[VTD_STATE.INTERRUPTS_LOW]! >>> 0, words[VTD_STATE.INTERRUPTS_HIGH]! >>> 0);
    this.state.unlock();
  }

  /** Copy a register of two words into the state, with the lock held. */
  private copyRegister(register: number, at: number): void {
    this.state.words[at] = this.words[register]!;
    this.state.words[at + 1] = this.words[register + 1]!;
  }

  /** With the lock held. */
  private announceInterruptTable(): void {
    const { words } = this.state;
    Atomics.store(words, VTD_STATE.INTERRUPT_TABLES, (words[VTD_STATE.INTERRUPT_TABLES]! + 1) | 0);
  }

  /** @param offset of a word that software wrote; @param value as written */
  act(offset: number, value: number): void {
    // Serving faults waits for nobody: a command may be waiting for the very burst that faulted.
    if (offset === VTD_REG.FECTL.at) this.faultEvent.sendPending();
    else if (offset === VTD_REG.IECTL.at) this.completionEvent.sendPending();
    else if (offset === VTD_REG.FSTS.at) {
      // What had stopped the invalidation queue may be gone.
      if ((this.faults.clearStatus(value) & (VTD_FSTS.IQE | VTD_FSTS.ITE)) !== 0) this.command(VTD_REG.IQT.at, value);
    } else if (!this.clearRecord(offset, value)) this.command(offset, value);
  }

  private clearRecord(offset: number, value: number): boolean {
    const index = this.faults.indexOfWord(offset >>> 2);
    if (index < 0) return false;
    if (offset % VTD_FRCD.SIZE === VTD_FRCD.HIGH + 4) this.faults.clearRecord(index, value);
    return true;
  }

  /** What may have to wait for devices: one thread at a time. */
  private command(offset: number, value: number): void {
    if (!this.commands.includes(offset)) return;
    this.state.beginCommand();
    try {
      switch (offset) {
        case VTD_REG.GCMD.at:
          this.globalCommand(value);
          break;
        case VTD_REG.CCMD.at + 4:
          this.contextCommand();
          break;
        case VTD_REG.ICS.at:
          this.queue.clearCompletion(value);
          break;
        case VTD_REG.IQT.at:
          this.queue.run();
          break;
        default:
          this.iotlbCommand(offset >>> 2);
      }
    } finally {
      this.state.endCommand();
    }
  }

  /**
   * VT-d 4.0 §11.4.4. Tables are taken over before what uses them is switched on. A bit of GSTS changes once every thread
   * goes by it: when the invalidation that tells them returns.
   */
  private globalCommand(value: number): void {
    const { capabilities } = this;
    if ((value & VTD_GCMD.SRTP) !== 0) {
      this.state.lock();
      this.copyRegister(word(VTD_REG.RTADDR), VTD_STATE.ROOT_LOW);
      this.state.unlock();
      this.latchRoot();
      this.invalidator.all();
      this.setStatus(VTD_GCMD.SRTP, VTD_GCMD.SRTP);
    }
    if (capabilities.interruptRemapping) {
      if ((value & VTD_GCMD.SIRTP) !== 0) {
        this.state.lock();
        this.copyRegister(word(VTD_REG.IRTA), VTD_STATE.INTERRUPTS_LOW);
        this.announceInterruptTable();
        this.state.unlock();
        this.latchInterruptTable();
        this.setStatus(VTD_GCMD.SIRTP, VTD_GCMD.SIRTP);
      }
      this.setStatus(VTD_GCMD.IRE | VTD_GCMD.CFI, value);
    }
    if (capabilities.queuedInvalidation && this.differs(value, VTD_GCMD.QIE)) {
      this.setStatus(VTD_GCMD.QIE, value);
      this.queue.rewind();
      this.queue.run();
    }
    if (!this.differs(value, TE)) return;
    Atomics.store(this.state.words, VTD_STATE.TRANSLATING, (value & TE) === 0 ? 0 : 1);
    this.latchRoot();
    this.invalidator.all();
    this.setStatus(TE, value);
  }

  private differs(value: number, bit: number): boolean {
    return ((this.words[GSTS]! ^ value) & bit) !== 0;
  }

  /** Bits of GSTS, as they are in `value`. */
  private setStatus(bits: number, value: number): void {
    Atomics.store(this.words, GSTS, ((this.words[GSTS]! & ~bits) | (value & bits)) >>> 0);
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
    Atomics.store(this.words, at + 1, (kept | (done << VTD_CCMD.CAIG_SHIFT)) >>> 0);
  }

  private iotlbCommand(at: number): void {
    const high = this.words[at]!;
    if ((high & VTD_IOTLB.IVT) === 0) return;
    const iva = this.iotlb + word(VTD_IOTLB_REG.IVA);
    const asked = this.byRegister ? (high >>> VTD_IOTLB.IIRG_SHIFT) & 3 : 0;
    const done = this.invalidator.iotlb(asked, high & VTD_IOTLB.DID, this.words[iva]!, this.words[iva + 1]!);
    const kept = high & ~(VTD_IOTLB.IVT | (3 << VTD_IOTLB.IAIG_SHIFT));
    Atomics.store(this.words, at, (kept | (done << VTD_IOTLB.IAIG_SHIFT)) >>> 0);
  }
}
