import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { VTD_DESCRIPTOR, VTD_WAIT, type VtdDescriptors } from './vtd-descriptors.js';
import type { VtdEvent } from './vtd-event.js';
import type { VtdFaults } from './vtd-faults.js';
import { DEVICE_TLB, writeStatus } from './vtd-invalidation.js';
import { tableBase } from './vtd-paging.js';
import { VTD_FSTS, VTD_GCMD, VTD_IQA, VTD_IQEI, VTD_REG } from './vtd-registers.js';
import { VTD_STATE, type VtdUnitState } from './vtd-unit-state.js';

const GSTS = VTD_REG.GSTS.at >>> 2;
const FSTS = VTD_REG.FSTS.at >>> 2;
const ICS = VTD_REG.ICS.at >>> 2;
const IQH = VTD_REG.IQH.at >>> 2;
const IQT = VTD_REG.IQT.at >>> 2;
const IQA = VTD_REG.IQA.at >>> 2;
const IQERCD = VTD_REG.IQERCD.at >>> 2;
/** The queue stands still while one of these is set. */
const STOPPED = VTD_FSTS.IQE | VTD_FSTS.ITE;

export interface VtdQueueCounters {
  descriptors: number;
  /** Status writes of waits that had no RAM to go to. */
  statusDropped: number;
}

/**
 * The invalidation queue (VT-d 4.0 §6.5.2). A write of IQT works off what is queued at once, at most one lap of the
 * queue; when that call returns, the caches have answered, and only then was the wait's status written.
 */
export class VtdInvalidationQueue {
  readonly counters: VtdQueueCounters;

  private readonly words: Uint32Array;
  private readonly state: VtdUnitState;
  private readonly memory: AddressSpace;
  private readonly descriptors: VtdDescriptors;
  private readonly faults: VtdFaults;
  private readonly event: VtdEvent;
  private running: boolean;

  constructor(
    words: Uint32Array,
    state: VtdUnitState,
    memory: AddressSpace,
    descriptors: VtdDescriptors,
    faults: VtdFaults,
    event: VtdEvent,
  ) {
    this.counters = { descriptors: 0, statusDropped: 0 };
    this.words = words;
    this.state = state;
    this.memory = memory;
    this.descriptors = descriptors;
    this.faults = faults;
    this.event = event;
    this.running = false;
  }

  /** A device TLB did not answer: the next wait will not complete. */
  private get timedOut(): boolean {
    return this.state.words[VTD_STATE.TIMED_OUT] !== 0;
  }

  private set timedOut(value: boolean) {
    this.state.words[VTD_STATE.TIMED_OUT] = value ? 1 : 0;
  }

  /** Queued invalidation was switched on or off. */
  rewind(): void {
    this.words[IQH] = 0;
    this.timedOut = false;
  }

  /** IQT was written, or a condition that had stopped the queue was cleared. */
  run(): void {
    // A cache that is told of an invalidation may ring the doorbell again: the loop below finds the new tail.
    if (this.running) return;
    this.running = true;
    const wide = (this.words[IQA]! & VTD_IQA.DW) !== 0;
    const bytes = 4096 << (this.words[IQA]! & VTD_IQA.QS);
    const step = wide ? 32 : 16;
    for (let budget = bytes / step; budget > 0 && this.isRunnable(); budget--) {
      const head = this.words[IQH]!;
      if (head === this.words[IQT]) break;
      const error = this.checkTail(bytes, wide);
      if (error !== 0 || !this.takeOne(head, wide, step)) {
        if (error !== 0) this.stop(error);
        break;
      }
      Atomics.store(this.words, IQH, head + step === bytes ? 0 : head + step);
      if (this.timedOut && this.descriptors.type === VTD_DESCRIPTOR.WAIT) {
        this.timedOut = false;
        this.faults.set(VTD_FSTS.ITE);
      }
    }
    this.running = false;
  }

  /** Software wrote ICS: IWC goes by writing 1, and with it a completion message that was still pending. */
  clearCompletion(value: number): void {
    if ((value & 1) === 0) return;
    this.words[ICS] = 0;
    this.state.lock();
    this.event.cancel();
    this.state.unlock();
  }

  private isRunnable(): boolean {
    return (this.words[GSTS]! & VTD_GCMD.QIE) !== 0 && (this.words[FSTS]! & STOPPED) === 0;
  }

  /** Head and tail lie in the queue as IQA describes it now, each on a descriptor's boundary. */
  private checkTail(bytes: number, wide: boolean): number {
    const head = this.words[IQH]!;
    const tail = this.words[IQT]!;
    if (tail >= bytes || head >= bytes) return VTD_IQEI.TAIL;
    return wide && ((tail | head) & 0x10) !== 0 ? VTD_IQEI.ALIGNMENT : 0;
  }

  /** Fetch and carry out the descriptor at `head`. @returns false when the queue stopped at it */
  private takeOne(head: number, wide: boolean, step: number): boolean {
    const base = tableBase(this.words[IQA]!, this.words[IQA + 1]!);
    // Address bits 63:52 are past every host address width.
    const beyond = this.words[IQA + 1]! >>> 20 !== 0;
    const offset = beyond ? -1 : this.memory.resolve(base + head, step, ACCESS.READ);
    if (offset < 0 || (offset & 3) !== 0) return this.stop(VTD_IQEI.FETCH);
    const { u32 } = this.memory.memory;
    const { descriptors } = this;
    for (let i = 0; i < step >>> 2; i++) descriptors.words[i] = u32[(offset >>> 2) + i]!;
    let error = descriptors.check(wide);
    if (error !== 0) return this.stop(error);
    this.counters.descriptors++;
    if (descriptors.type === VTD_DESCRIPTOR.WAIT) {
      if (!this.timedOut) this.wait();
      return true;
    }
    error = descriptors.execute();
    if (error !== 0) return this.stop(error);
    if (descriptors.answer === DEVICE_TLB.TIMEOUT) {
      this.timedOut = true;
      this.words[IQERCD + 1] = (this.words[IQERCD + 1]! & 0xffff_0000) | descriptors.failedSource;
    } else if (descriptors.answer === DEVICE_TLB.ERROR) {
      this.words[IQERCD + 1] = (this.words[IQERCD + 1]! & 0xffff) | (descriptors.failedSource << 16);
      this.faults.set(VTD_FSTS.ICE);
    }
    return true;
  }

  /** §6.5.2.8: everything before it is done, because each call into the caches has returned. */
  private wait(): void {
    const { words } = this.descriptors;
    if ((words[0]! & VTD_WAIT.SW) !== 0 && !writeStatus(this.memory, words[2]!, words[3]!, words[1]!))
      this.counters.statusDropped++;
    if ((words[0]! & VTD_WAIT.IF) === 0 || (this.words[ICS]! & 1) !== 0) return;
    Atomics.store(this.words, ICS, 1);
    this.event.raise();
  }

  private stop(reason: number): false {
    this.words[IQERCD] = reason;
    this.faults.set(VTD_FSTS.IQE);
    return false;
  }
}
