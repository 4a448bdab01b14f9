import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import type { AmdViCounters } from './amdvi-counters.js';
import type { AmdViRegisterFile } from './amdvi-register-file.js';
import { AMDVI_CONTROL, AMDVI_ENTRY_BYTES, AMDVI_REGISTERS, AMDVI_STATUS } from './amdvi-registers.js';

/** AMD IOMMU spec 3.x §2.5: EventCode, bits 63:60. */
export const AMDVI_EVENT = {
  ILLEGAL_DEV_TABLE_ENTRY: 1,
  IO_PAGE_FAULT: 2,
  DEV_TAB_HARDWARE_ERROR: 3,
  PAGE_TAB_HARDWARE_ERROR: 4,
  ILLEGAL_COMMAND_ERROR: 5,
  COMMAND_HARDWARE_ERROR: 6,
  INVALID_DEVICE_REQUEST: 8,
} as const;

/** Flags of an event, as bits of its second word: bit 48 of the entry is 1 << 16. */
export const AMDVI_EVENT_FLAG = {
  GN: 0x1_0000, // the address belongs to a PASID
  I: 0x8_0000, // an interrupt request
  PR: 0x10_0000, // the entry was present
  RW: 0x20_0000, // a write
  PE: 0x40_0000, // the entries do not allow it
  RZ: 0x80_0000, // reserved bits; without it, a level or size that cannot be
  TYPE_MASTER_ABORT: 0x200_0000, // hardware errors, 58:57: nothing answered there
} as const;

const WORD = 0x1_0000_0000;
const CODE_SHIFT = 28;
const WRITE = ACCESS.WRITE;
const BASE = AMDVI_REGISTERS.EventLogBase;
const HEAD = AMDVI_REGISTERS.EventLogHead;
const TAIL = AMDVI_REGISTERS.EventLogTail;
const { EventOverflow, EventLogInt, EventLogRun } = AMDVI_STATUS;
const { IommuEn, EventLogEn } = AMDVI_CONTROL;

/**
 * The event log: a ring in memory that the unit fills and software empties. When no entry is free, the event is lost,
 * EventOverflow is set and logging rests until software has cleared it and written EventLogEn again; nothing is
 * overwritten.
 */
export class AmdViEventLog {
  private readonly registers: AmdViRegisterFile;
  private readonly memory: AddressSpace;
  private readonly counters: AmdViCounters;
  /** Per device: its SE bit lets no more page faults through until its entry is invalidated. */
  private readonly faulted: Uint8Array;

  constructor(registers: AmdViRegisterFile, memory: AddressSpace, counters: AmdViCounters) {
    this.registers = registers;
    this.memory = memory;
    this.counters = counters;
    this.faulted = new Uint8Array(0x1_0000);
  }

  /** Control was written. */
  update(): void {
    const control = this.registers.control;
    const on = (control & IommuEn) !== 0 && (control & EventLogEn) !== 0 && this.registers.ringBytes(BASE) > 0;
    if (!on) this.registers.lower(EventLogRun);
    else if ((this.registers.status & EventOverflow) === 0) this.registers.raise(EventLogRun);
  }

  /**
   * Log one event, or lose it.
   * @param deviceId 0 … 0xffff; 0 for commands
   * @param pasid    0 … 2^20-1; NO_PASID puts the domain in its place
   */
  log(code: number, deviceId: number, pasid: number, domain: number, flags: number, address: number): void {
    const registers = this.registers;
    if ((registers.status & EventLogRun) === 0) {
      this.counters.eventsDropped++;
      return;
    }
    // Pointers past the end, which only software could write, wrap as the unit's own do: sizes are powers of two.
    const last = registers.ringBytes(BASE) - 1;
    const tail = registers.word(TAIL.at) & last;
    const next = (tail + AMDVI_ENTRY_BYTES) & last;
    if (next === (registers.word(HEAD.at) & last)) {
      this.counters.eventsDropped++;
      registers.lower(EventLogRun);
      registers.raise(EventOverflow);
      return;
    }
    const offset = this.memory.resolve(registers.address(BASE) + tail, AMDVI_ENTRY_BYTES, WRITE);
    if (offset < 0 || (offset & 3) !== 0) {
      this.counters.eventsDropped++;
      return;
    }
    const u32 = this.memory.memory.u32;
    const at = offset >>> 2;
    const withPasid = pasid >= 0;
    u32[at] = (deviceId & 0xffff) | (withPasid ? pasid & 0xf_0000 : 0);
    u32[at + 2] = address;
    u32[at + 3] = Math.floor(address / WORD);
    // The word with EventCode last: some software waits for it to be other than 0.
    const second = (code << CODE_SHIFT) | flags | (withPasid ? AMDVI_EVENT_FLAG.GN | (pasid & 0xffff) : domain);
    Atomics.store(u32, at + 1, second);
    registers.setPointer(TAIL, next);
    this.counters.eventsLogged++;
    registers.raise(EventLogInt);
  }

  /** SE: whether a device's page fault is its first since its entry was last invalidated. */
  isFirstFault(deviceId: number): boolean {
    const first = this.faulted[deviceId] === 0;
    this.faulted[deviceId] = 1;
    return first;
  }

  forgetFaults(deviceId: number): void {
    this.faulted[deviceId] = 0;
  }

  forgetAllFaults(): void {
    this.faulted.fill(0);
  }
}
