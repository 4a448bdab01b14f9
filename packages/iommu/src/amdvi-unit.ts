import type { AddressSpace } from '@ringwire/guest-memory';
import { AmdViCommands } from './amdvi-commands.js';
import { type AmdViCounters, newAmdViCounters } from './amdvi-counters.js';
import { AMDVI_EVENT, AmdViEventLog } from './amdvi-events.js';
import { AmdViRegisterFile } from './amdvi-register-file.js';
import { AMDVI_CONTROL, AMDVI_MMIO_BYTES, AMDVI_REGISTERS, AMDVI_STATUS } from './amdvi-registers.js';
import { AMDVI_SUPPRESS, AMDVI_WALK, AmdViWalk, type AmdViWalkEnd } from './amdvi-walk.js';
import { type InvalidationSink, type Iommu, TRANSLATED, type Translated, type Translation } from './translation.js';

/** What an {@link AmdViUnit} is made of. */
export interface AmdViUnitConfig {
  /** Physical memory: tables, command buffer and event log lie in it. */
  readonly memory: AddressSpace;
  /** Told of every invalidation before the command that asked for it counts as done. */
  readonly sink: InvalidationSink;
  /** The unit's one interrupt: an event was logged or lost, or a wait completed, and Control enables it. */
  readonly interrupt?: () => void;
  /** Page-table levels that Mode may ask for; 6 when left out. */
  readonly levels?: 4 | 5 | 6;
}

const { PAGE, UNTRANSLATED, INTERRUPT, PAGE_FAULT, ILLEGAL_ENTRY } = AMDVI_WALK;
const { DEVICE_TABLE_UNREACHABLE, PAGE_TABLE_UNREACHABLE } = AMDVI_WALK;
const REGISTERS = AMDVI_REGISTERS;
const WORD_BITS = 32n;

/**
 * An AMD-Vi unit as its driver and its bus see it (AMD I/O Virtualization Technology Specification, rev 3.x): host page
 * tables of up to six levels, command buffer, event log. Extended features: INVALIDATE_IOMMU_ALL, access and dirty flags.
 * There is no guest translation: a request with a PASID is a page fault. Whether an interrupt request passes is decided
 * here; an interrupt table is read elsewhere.
 */
export class AmdViUnit implements Iommu {
  readonly memory: AddressSpace;
  readonly registers: AmdViRegisterFile;
  readonly counters: AmdViCounters;
  /** Page-table levels that Mode may ask for. */
  readonly levels: number;

  private readonly sink: InvalidationSink;
  private readonly events: AmdViEventLog;
  private readonly commands: AmdViCommands;
  private readonly walk: AmdViWalk;

  constructor(config: AmdViUnitConfig) {
    this.memory = config.memory;
    this.sink = config.sink;
    this.levels = config.levels ?? 6;
    this.registers = new AmdViRegisterFile(this.levels, config.interrupt ?? (() => {}));
    this.counters = newAmdViCounters();
    this.events = new AmdViEventLog(this.registers, this.memory, this.counters);
    this.commands = new AmdViCommands(this.registers, this.memory, this.events, this.sink, this.counters);
    this.walk = new AmdViWalk(this.registers, this.memory, this.levels);
  }

  translate(sourceId: number, pasid: number, address: number, access: number, out: Translation): Translated {
    const end = this.walk.run(sourceId, pasid, address, access, out);
    this.counters.walks[end]!++;
    if (end === PAGE) return TRANSLATED.OK;
    if (end === UNTRANSLATED) return TRANSLATED.PASS_THROUGH;
    if (end === INTERRUPT) return TRANSLATED.INTERRUPT;
    return this.fault(end, sourceId, pasid, address);
  }

  /**
   * A driver's read of the MMIO range: 4 aligned bytes, as a number, or 8, as a bigint. Any other access reads 0.
   * @param offset from the start of the range
   */
  read(offset: number, size: 4): number;
  read(offset: number, size: 8): bigint;
  read(offset: number, size: number): number | bigint {
    const answers = isAccess(offset, size);
    if (size !== 8) return answers ? this.registers.word(offset) : 0;
    if (!answers) return 0n;
    return BigInt(this.registers.word(offset)) | (BigInt(this.registers.word(offset + 4)) << WORD_BITS);
  }

  /** A driver's write: 4 aligned bytes, as a number, or 8, as a bigint. Any other access is ignored. */
  write(offset: number, size: 4, value: number): void;
  write(offset: number, size: 8, value: bigint): void;
  write(offset: number, size: number, value: number | bigint): void {
    if (!isAccess(offset, size)) return;
    if (typeof value === 'number') {
      this.store(offset, value);
      return;
    }
    // The high word first: what the register sets off is in the low word of Control and of the pointers.
    if (size === 8) this.store(offset + 4, Number(BigInt.asUintN(32, value >> WORD_BITS)));
    this.store(offset, Number(BigInt.asUintN(32, value)));
  }

  private store(offset: number, value: number): void {
    const registers = this.registers;
    const control = registers.control;
    // While commands are read the head is the unit's.
    const headIsBusy = (registers.status & AMDVI_STATUS.CmdBufRun) !== 0;
    if (offset === REGISTERS.CommandBufferHead.at && headIsBusy) return;
    registers.store(offset, value);
    switch (offset & ~7) {
      case REGISTERS.CommandBufferBase.at:
        registers.setPointer(REGISTERS.CommandBufferHead, 0);
        registers.setPointer(REGISTERS.CommandBufferTail, 0);
        this.commands.update();
        break;
      case REGISTERS.CommandBufferTail.at:
        this.commands.run();
        break;
      case REGISTERS.EventLogBase.at:
        registers.setPointer(REGISTERS.EventLogHead, 0);
        registers.setPointer(REGISTERS.EventLogTail, 0);
        this.events.update();
        break;
      case REGISTERS.Control.at:
        if (((control ^ registers.control) & AMDVI_CONTROL.IommuEn) !== 0) this.sink.all();
        this.events.update();
        this.commands.update();
        break;
      case REGISTERS.DeviceTableBase.at:
      case REGISTERS.ExclusionBase.at:
      case REGISTERS.ExclusionLimit.at:
        // Software has to invalidate after this anyway; until it does, no cache mixes old tables and new ones.
        this.sink.all();
        break;
    }
  }

  private fault(end: AmdViWalkEnd, sourceId: number, pasid: number, address: number): Translated {
    const { events, walk } = this;
    if (end === PAGE_FAULT) {
      const silent = walk.suppress === AMDVI_SUPPRESS.AFTER_FIRST && !events.isFirstFault(sourceId);
      if (silent || walk.suppress === AMDVI_SUPPRESS.ALL) {
        this.counters.eventsSuppressed++;
        return TRANSLATED.BLOCKED;
      }
    }
    switch (end) {
      case PAGE_FAULT:
        events.log(AMDVI_EVENT.IO_PAGE_FAULT, sourceId, pasid, walk.domain, walk.flags, address);
        break;
      case ILLEGAL_ENTRY:
        events.log(AMDVI_EVENT.ILLEGAL_DEV_TABLE_ENTRY, sourceId, pasid, 0, walk.flags, address);
        break;
      case DEVICE_TABLE_UNREACHABLE:
        events.log(AMDVI_EVENT.DEV_TAB_HARDWARE_ERROR, sourceId, pasid, 0, walk.flags, walk.entryAddress);
        break;
      case PAGE_TABLE_UNREACHABLE:
        events.log(AMDVI_EVENT.PAGE_TAB_HARDWARE_ERROR, sourceId, pasid, walk.domain, walk.flags, walk.entryAddress);
        break;
      default:
        events.log(AMDVI_EVENT.INVALID_DEVICE_REQUEST, sourceId, pasid, 0, walk.flags, address);
    }
    return TRANSLATED.FAULT;
  }
}

const isAccess = (offset: number, size: number): boolean =>
  (size === 4 || size === 8) && offset % size === 0 && offset >= 0 && offset < AMDVI_MMIO_BYTES;
