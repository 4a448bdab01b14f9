import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import type { AmdViCounters } from './amdvi-counters.js';
import { AMDVI_EVENT, AMDVI_EVENT_FLAG, type AmdViEventLog } from './amdvi-events.js';
import type { AmdViRegisterFile } from './amdvi-register-file.js';
import { AMDVI_CONTROL, AMDVI_ENTRY_BYTES, AMDVI_REGISTERS, AMDVI_STATUS } from './amdvi-registers.js';
import { amdViSizedPageShift } from './amdvi-tables.js';
import { type InvalidationSink, NO_PASID } from './translation.js';

/** AMD IOMMU spec 3.x §2.4: opcodes, bits 63:60. The others are illegal in a unit without prefetch, PPR and vIOMMU. */
export const AMDVI_COMMAND = {
  COMPLETION_WAIT: 1,
  INVALIDATE_DEVTAB_ENTRY: 2,
  INVALIDATE_IOMMU_PAGES: 3,
  INVALIDATE_IOTLB_PAGES: 4,
  INVALIDATE_INTERRUPT_TABLE: 5,
  INVALIDATE_IOMMU_ALL: 8,
} as const;

/** COMPLETION_WAIT, first word: store the data, interrupt, execute what came before it first. */
export const AMDVI_WAIT = { S: 1, I: 2, F: 4 } as const;
/** INVALIDATE_IOMMU_PAGES and INVALIDATE_IOTLB_PAGES, third word: more than one page, directories too, guest address. */
export const AMDVI_PAGES = { S: 1, PDE: 2, GN: 4 } as const;

/** Reserved bits of the four words, by opcode; the opcode itself is bits 31:28 of the second. */
const RESERVED: Readonly<Record<number, readonly [number, number, number, number]>> = {
  [AMDVI_COMMAND.COMPLETION_WAIT]: [0, 0x0ff0_0000, 0, 0],
  [AMDVI_COMMAND.INVALIDATE_DEVTAB_ENTRY]: [0xffff_0000, 0x0fff_ffff, ~0, ~0],
  [AMDVI_COMMAND.INVALIDATE_IOMMU_PAGES]: [0xfff0_0000, 0x0fff_0000, 0xff8, 0],
  [AMDVI_COMMAND.INVALIDATE_IOTLB_PAGES]: [0, 0, 0xfca, 0],
  [AMDVI_COMMAND.INVALIDATE_INTERRUPT_TABLE]: [0xffff_0000, 0x0fff_ffff, ~0, ~0],
  [AMDVI_COMMAND.INVALIDATE_IOMMU_ALL]: [~0, 0x0fff_ffff, ~0, ~0],
};

const { READ, WRITE } = ACCESS;
const BASE = AMDVI_REGISTERS.CommandBufferBase;
const HEAD = AMDVI_REGISTERS.CommandBufferHead;
const TAIL = AMDVI_REGISTERS.CommandBufferTail;
const { ComWaitInt, CmdBufRun } = AMDVI_STATUS;
const { IommuEn, CmdBufEn } = AMDVI_CONTROL;
const PAGE_MASK = 0xfff;
/** A page size that takes in every address there is. */
const WHOLE_SHIFT = 53;

/**
 * The command buffer: a ring in memory that software fills and the unit empties, at once, when the tail moves. Commands
 * are carried out in order and each is done before the next is read, so a COMPLETION_WAIT has nothing to wait for.
 * An illegal command, or one that cannot be read, stops the buffer with the head on it, until software writes CmdBufEn.
 */
export class AmdViCommands {
  private readonly registers: AmdViRegisterFile;
  private readonly memory: AddressSpace;
  private readonly events: AmdViEventLog;
  private readonly sink: InvalidationSink;
  private readonly counters: AmdViCounters;
  /** Software may move the tail from within its interrupt: the loop that runs already goes on to the new one. */
  private running = false;
  /** The command at hand, read once. */
  private w0 = 0;
  private w1 = 0;
  private w2 = 0;
  private w3 = 0;

  constructor(
    registers: AmdViRegisterFile,
    memory: AddressSpace,
    events: AmdViEventLog,
    sink: InvalidationSink,
    counters: AmdViCounters,
  ) {
    this.registers = registers;
    this.memory = memory;
    this.events = events;
    this.sink = sink;
    this.counters = counters;
  }

  /** Control was written, or the base of the buffer. */
  update(): void {
    const control = this.registers.control;
    const on = (control & IommuEn) !== 0 && (control & CmdBufEn) !== 0 && this.registers.ringBytes(BASE) > 0;
    if (on) this.registers.raise(CmdBufRun);
    else this.registers.lower(CmdBufRun);
    this.run();
  }

  /** Carry out what lies between head and tail: no more commands than the buffer has entries per write of the tail. */
  run(): void {
    if (this.running) return;
    this.running = true;
    const registers = this.registers;
    while ((registers.status & CmdBufRun) !== 0) {
      const bytes = registers.ringBytes(BASE);
      const head = registers.word(HEAD.at);
      const tail = registers.word(TAIL.at);
      if (head === tail) break;
      const at = registers.address(BASE) + head;
      if (head >= bytes || tail >= bytes || !this.fetch(at)) {
        this.stop(AMDVI_EVENT.COMMAND_HARDWARE_ERROR, AMDVI_EVENT_FLAG.TYPE_MASTER_ABORT, at);
        continue;
      }
      const opcode = this.w1 >>> 28;
      if (!this.isLegal(opcode)) {
        this.stop(AMDVI_EVENT.ILLEGAL_COMMAND_ERROR, 0, at);
        continue;
      }
      // First the head, then the command: its interrupt may bring software here.
      registers.setPointer(HEAD, (head + AMDVI_ENTRY_BYTES) & (bytes - 1));
      this.counters.commands++;
      this.execute(opcode);
    }
    this.running = false;
  }

  private stop(event: number, flags: number, address: number): void {
    this.counters.commandStops++;
    this.registers.lower(CmdBufRun);
    this.events.log(event, 0, NO_PASID, 0, flags, address);
  }

  private fetch(at: number): boolean {
    const offset = this.memory.resolve(at, AMDVI_ENTRY_BYTES, READ);
    if (offset < 0 || (offset & 3) !== 0) return false;
    const u32 = this.memory.memory.u32;
    const word = offset >>> 2;
    this.w0 = u32[word]!;
    this.w1 = u32[word + 1]!;
    this.w2 = u32[word + 2]!;
    this.w3 = u32[word + 3]!;
    return true;
  }

  private isLegal(opcode: number): boolean {
    const reserved = RESERVED[opcode];
    if (reserved === undefined) return false;
    return (
      ((this.w0 & reserved[0]) | (this.w1 & reserved[1]) | (this.w2 & reserved[2]) | (this.w3 & reserved[3])) === 0
    );
  }

  private execute(opcode: number): void {
    switch (opcode) {
      case AMDVI_COMMAND.COMPLETION_WAIT:
        if ((this.w0 & AMDVI_WAIT.S) !== 0) this.storeData();
        if ((this.w0 & AMDVI_WAIT.I) !== 0) this.registers.raise(ComWaitInt);
        break;
      case AMDVI_COMMAND.INVALIDATE_DEVTAB_ENTRY:
        this.events.forgetFaults(this.w0 & 0xffff);
        this.sink.requester(this.w0 & 0xffff);
        break;
      case AMDVI_COMMAND.INVALIDATE_IOMMU_PAGES:
        this.invalidatePages(this.w1 & 0xffff);
        break;
      case AMDVI_COMMAND.INVALIDATE_IOTLB_PAGES:
        // The sink's only way to name one device's cache is all of it.
        this.sink.requester(this.w0 & 0xffff);
        break;
      case AMDVI_COMMAND.INVALIDATE_INTERRUPT_TABLE:
        // The unit decides whether interrupts pass, and keeps nothing of any interrupt table.
        break;
      case AMDVI_COMMAND.INVALIDATE_IOMMU_ALL:
        this.events.forgetAllFaults();
        this.sink.all();
        break;
    }
  }

  /** A store to what is no memory goes nowhere, and no register sees it. */
  private storeData(): void {
    const address = (this.w1 & 0xf_ffff) * 0x1_0000_0000 + ((this.w0 & ~7) >>> 0);
    const offset = this.memory.resolve(address, 8, WRITE);
    if (offset < 0 || (offset & 3) !== 0) {
      this.counters.storesDropped++;
      return;
    }
    // Software polls the 8 bytes, or the first 4 of them.
    const u32 = this.memory.memory.u32;
    Atomics.store(u32, (offset >>> 2) + 1, this.w3);
    Atomics.store(u32, offset >>> 2, this.w2);
  }

  /**
   * §2.4.3: with S set the size is, as in a page-table entry, told by the first zero; no zero up to bit 51 is everything.
   * Directories are not cached apart from pages, so PDE adds nothing; guest addresses are not translated, so that GN, to
   * be safe, drops all of the domain.
   */
  private invalidatePages(domain: number): void {
    const sized = (this.w2 & AMDVI_PAGES.S) !== 0;
    const shift = sized ? amdViSizedPageShift(this.w2, this.w3) || WHOLE_SHIFT : 12;
    if ((this.w2 & AMDVI_PAGES.GN) !== 0 || shift >= WHOLE_SHIFT) {
      this.sink.domain(domain);
      return;
    }
    // No request has an address from 2^53 on, so nothing there is cached.
    if (this.w3 >>> 21 !== 0) return;
    const address = (this.w3 & 0x1f_ffff) * 0x1_0000_0000 + ((this.w2 & ~PAGE_MASK) >>> 0);
    const bytes = 2 ** shift;
    this.sink.pages(domain, address - (address % bytes), bytes - 1);
  }
}
