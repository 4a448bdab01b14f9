import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { newOwner } from './invalidation-bus.js';
import {
  type AtsIommu,
  type InvalidationSink,
  NO_PASID,
  TRANSLATED,
  type Translated,
  type Translation,
} from './translation.js';
import { inTurn, type VtdCaches } from './vtd-caches.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import { VtdCommands } from './vtd-commands.js';
import { VTD_KIND } from './vtd-context-walk.js';
import { VtdDescriptors } from './vtd-descriptors.js';
import { resetEvents, VtdEvent } from './vtd-event.js';
import { VtdFaults } from './vtd-faults.js';
import { type InterruptMessage, type Remapped, VtdInterruptRemap } from './vtd-interrupt-remap.js';
import { VtdInvalidator } from './vtd-invalidation.js';
import { VtdInvalidationQueue } from './vtd-invalidation-queue.js';
import { WALK } from './vtd-paging.js';
import {
  isMissingRight,
  isQualified,
  qemuScalableReason,
  VTD_FAULT,
  VTD_FAULT_STYLE,
  type VtdFaultStyle,
} from './vtd-reasons.js';
import { VtdRegisterFile } from './vtd-register-file.js';
import { VTD_ADDRESS_TYPE, VTD_REG, VTD_TTM } from './vtd-registers.js';
import type { VtdTrace } from './vtd-table-reader.js';
import { isInterruptAddress } from './vtd-tables.js';
import { capabilitiesOf, type VtdRegisterValue, type VtdUnitConfig } from './vtd-unit-config.js';
import { VTD_STATE } from './vtd-unit-state.js';
import { VtdWalk } from './vtd-walk.js';

const WORD = 0x1_0000_0000;
const WRITE = ACCESS.WRITE;
/** Codes of paging tables begin here. */
const PAGING_CODES = VTD_FAULT.FS_ACCESS;
const OK = WALK.OK;
const word = (register: { readonly at: number }): number => register.at >>> 2;

/** One Intel VT-d remapping unit: registers in front of `VtdWalk`, fault log, invalidation and interrupt remapping. */
export class VtdUnit implements AtsIommu {
  readonly capabilities: VtdCapabilities;
  readonly hostAddressWidth: number;
  readonly faults: VtdFaults;
  readonly queue: VtdInvalidationQueue;
  readonly registers: VtdRegisterFile;
  readonly caches: VtdCaches | undefined;
  readonly follower: InvalidationSink;

  private readonly memory: AddressSpace;
  private readonly words: Uint32Array;
  private readonly walker: VtdWalk;
  private readonly interrupts: VtdInterruptRemap;
  private readonly invalidator: VtdInvalidator;
  private readonly faultStyle: VtdFaultStyle;
  private readonly version: number;
  private readonly commands: VtdCommands;
  private readonly events: readonly [fault: VtdEvent, completion: VtdEvent];

  constructor(config: VtdUnitConfig) {
    const capabilities = capabilitiesOf(config);
    this.registers = new VtdRegisterFile(capabilities, config.registers, config.owner);
    const { state } = this.registers;
    const width =
      config.registers === undefined
        ? (config.hostAddressWidth ?? Math.min(Math.max(capabilities.mgaw, 32), 52))
        : state.words[VTD_STATE.HOST_WIDTH]!;
    if (!Number.isInteger(width) || width < 32 || width > 52)
      throw new VirtioError('hostAddressWidth', width, 'an integer from 32 to 52', 'VT-d 4.0 §8.1');
    state.words[VTD_STATE.HOST_WIDTH] = width;
    this.capabilities = capabilities;
    this.hostAddressWidth = width;
    this.memory = config.memory;
    this.words = this.registers.words;
    this.version = config.registers === undefined ? (config.version ?? 0x60) : this.words[word(VTD_REG.VER)]!;
    this.faultStyle = config.faultStyle ?? VTD_FAULT_STYLE.SPECIFICATION;
    const send = config.onInterrupt ?? (() => {});
    const faultEvent = new VtdEvent(this.words, state, VTD_REG.FECTL.at, send);
    const completionEvent = new VtdEvent(this.words, state, VTD_REG.IECTL.at, send);
    this.events = [faultEvent, completionEvent];
    this.faults = new VtdFaults(this.words, state, capabilities, faultEvent);
    this.caches = config.caches;
    const sink = this.caches === undefined ? config.sink : inTurn(this.caches, config.sink);
    this.invalidator = new VtdInvalidator(sink, capabilities, config.deviceTlb !== undefined);
    const descriptors = new VtdDescriptors(capabilities, this.invalidator, config.deviceTlb, config.onInterruptEntries);
    this.queue = new VtdInvalidationQueue(this.words, state, config.memory, descriptors, this.faults, completionEvent);
    this.walker = new VtdWalk(config.memory, capabilities, width, config.caches);
    this.interrupts = new VtdInterruptRemap(this.words, this.walker.reader, capabilities, this.faults);
    this.commands = new VtdCommands({
      words: this.words,
      state,
      capabilities,
      walker: this.walker,
      interrupts: this.interrupts,
      invalidator: this.invalidator,
      queue: this.queue,
      faults: this.faults,
      faultEvent,
      completionEvent,
    });
    this.follower = this.newFollower();
    if (config.registers === undefined) this.reset();
    else this.commands.follow();
  }

  /** A number for a thread that will use the registers and may be ended from outside: its unit's `owner`. */
  newOwner(): number {
    return newOwner(this.registers.state.words, VTD_STATE.OWNERS);
  }

  /**
   * A thread that used the registers was ended: its locks are free, a fault that it had begun to record is there or is not,
   * and messages that it did not come to send are sent, one that it did perhaps again. It must not run any more.
   * @param owner its unit's
   */
  evict(owner: number): void {
    this.registers.state.evict(owner);
    this.faults.mend();
    const [faultEvent, completionEvent] = this.events;
    faultEvent.sendPending();
    if ((this.words[word(VTD_REG.ICS)]! & 1) !== 0) completionEvent.raise();
    else completionEvent.sendPending();
  }

  /** Power-on state: translation off, everything that was cached void. */
  reset(): void {
    const { words, capabilities } = this;
    const { state } = this.registers;
    state.beginCommand();
    state.lock();
    words.fill(0);
    words[word(VTD_REG.VER)] = this.version;
    words.set(capabilities.cap, word(VTD_REG.CAP));
    words.set(capabilities.ecap, word(VTD_REG.ECAP));
    resetEvents(words);
    state.clear();
    state.unlock();
    this.commands.takeOver();
    this.invalidator.all();
    state.endCommand();
  }

  /**
   * Put a dump's values into the registers, as they are and without what writing them would do; then go on from there.
   * VER, CAP and ECAP stay the unit's own, and GCMD reads 0.
   */
  load(values: Iterable<VtdRegisterValue>): void {
    const { state } = this.registers;
    state.beginCommand();
    this.reset();
    for (const { offset, size, value } of values) {
      if (offset < VTD_REG.GSTS.at) continue;
      this.registers.set(offset, Number(value & 0xffff_ffffn));
      if (size === 8) this.registers.set(offset + 4, Number((value >> 32n) & 0xffff_ffffn));
    }
    this.commands.takeOver();
    this.invalidator.all();
    state.endCommand();
  }

  /**
   * A write to the interrupt address range is INTERRUPT, any other access to it BLOCKED, before a table is looked at.
   * `pageMask` is that of the table's page, even where part of the page is in that range, as input or as output: a cache
   * keeps pieces of 4 KiB that were translated, and drops all of them when any byte of the page is void.
   */
  translate(sourceId: number, pasid: number, address: number, access: number, out: Translation): Translated {
    const walker = this.walker;
    walker.reader.entriesRead = 0;
    out.entriesRead = 0;
    if (pasid === NO_PASID && isInterruptAddress(address))
      return access === WRITE ? TRANSLATED.INTERRUPT : TRANSLATED.BLOCKED;
    if (!this.commands.translating) {
      passThrough(address, 0, out);
      return TRANSLATED.PASS_THROUGH;
    }
    if (!this.answers(sourceId)) return TRANSLATED.BLOCKED;
    const reason = this.walk(sourceId, pasid, address, access, out);
    if (reason !== OK) return this.fault(reason, sourceId, pasid, address, access, VTD_ADDRESS_TYPE.UNTRANSLATED);
    return walker.kind === VTD_KIND.PASS_THROUGH ? TRANSLATED.PASS_THROUGH : TRANSLATED.OK;
  }

  /** VT-d 4.0 §4.2. Only requesters whose context has device TLBs enabled may ask. */
  requestTranslation(sourceId: number, pasid: number, address: number, access: number, out: Translation): Translated {
    const { walker } = this;
    walker.reader.entriesRead = 0;
    out.entriesRead = 0;
    if (!this.commands.translating) return TRANSLATED.PASS_THROUGH;
    if ((pasid === NO_PASID && isInterruptAddress(address)) || !this.answers(sourceId)) return TRANSLATED.BLOCKED;
    let reason = walker.find(sourceId, pasid);
    if (reason === OK && !walker.deviceTlb)
      reason = walker.mode === VTD_TTM.LEGACY ? VTD_FAULT.TRANSLATION_REQUEST : VTD_FAULT.SM_DEVICE_TLB;
    if (reason === OK) reason = this.walk(sourceId, pasid, address, access, out);
    if (reason === OK) return TRANSLATED.OK;
    if (isMissingRight(reason)) return TRANSLATED.BLOCKED;
    return this.fault(reason, sourceId, pasid, address, access, VTD_ADDRESS_TYPE.TRANSLATION_REQUEST);
  }

  /** @returns WALK.OK with the result in `out`, or a code of VTD_FAULT */
  private walk(sourceId: number, pasid: number, address: number, access: number, out: Translation): number {
    const { walker } = this;
    const reason = walker.walk(sourceId, pasid, address, access);
    out.entriesRead = walker.reader.entriesRead;
    if (this.caches !== undefined) this.caches.countDepth(out.entriesRead);
    if (reason !== OK) return reason;
    if (walker.kind === VTD_KIND.PASS_THROUGH) {
      passThrough(address, walker.domain, out);
      return OK;
    }
    const { paging } = walker;
    out.physical = paging.physical;
    out.pageMask = paging.pageMask;
    out.allowed = paging.cacheable;
    out.domain = walker.domain;
    return OK;
  }

  /**
   * Remap the interrupt that a write to the interrupt address range asks for (VT-d 4.0 §5.1).
   * @param address 0xfee00000 to 0xfeefffff
   * @param data    the 32 bits written
   */
  remapInterrupt(sourceId: number, address: number, data: number, out: InterruptMessage): Remapped {
    this.commands.followInterruptTable();
    return this.interrupts.remap(sourceId, address, data, out);
  }

  /** A walk of the same tables that changes neither them nor the unit, for tools. */
  spectator(trace?: VtdTrace): VtdWalk {
    return this.walker.spectator(this.memory, this.hostAddressWidth, trace);
  }

  /** Whether DMA is translated at all. */
  get translating(): boolean {
    return this.commands.translating;
  }

  /** @returns a number for 1, 2 and 4 bytes, a bigint for 8; 0 where there is no register or the access is not aligned */
  read(offset: number, size: 1 | 2 | 4): number;
  read(offset: number, size: 8): bigint;
  read(offset: number, size: 1 | 2 | 4 | 8): number | bigint;
  read(offset: number, size: 1 | 2 | 4 | 8): number | bigint {
    return this.registers.read(offset, size);
  }

  /**
   * Software's write: 4 bytes, or 8 as one of each half with the effects after both. Other sizes, and addresses that are
   * not aligned, do nothing.
   */
  write(offset: number, size: number, value: number | bigint): void {
    if ((size !== 4 && size !== 8) || !this.registers.has(offset, size)) return;
    const low = typeof value === 'bigint' ? Number(value & 0xffff_ffffn) : value >>> 0;
    const high = typeof value === 'bigint' ? Number((value >> 32n) & 0xffff_ffffn) : Math.floor(value / WORD) >>> 0;
    const { state } = this.registers;
    state.lock();
    this.registers.store(offset, low);
    if (size === 8) this.registers.store(offset + 4, high);
    state.unlock();
    this.commands.act(offset, low);
    if (size === 8) this.commands.act(offset + 4, high);
  }

  /** No requester has an id past 16 bits, and abort mode answers nobody. */
  answers(sourceId: number): boolean {
    return sourceId >>> 16 === 0 && !(this.walker.mode === VTD_TTM.ABORT && this.capabilities.abortMode);
  }

  /** Whether FPD on the way of a walk keeps its fault from being recorded. */
  isHidden(walk: VtdWalk, reason: number): boolean {
    return walk.faultsDisabled && isQualified(reason, this.faultStyle);
  }

  /** The code that a fault record has for what a walk found. */
  reportedReason(found: number, access: number): number {
    const qemu = this.faultStyle === VTD_FAULT_STYLE.QEMU && this.walker.mode === VTD_TTM.SCALABLE;
    return qemu ? qemuScalableReason(found, access) : found;
  }

  /** What this thread's unit does about an invalidation. */
  private newFollower(): InvalidationSink {
    const { caches, commands } = this;
    return {
      all: () => {
        caches?.all();
        commands.latchRoot();
      },
      domain: (domain) => caches?.domain(domain),
      pages: (domain, address, mask, keep) => caches?.pages(domain, address, mask, keep),
      requester: (sourceId) => caches?.requester(sourceId),
    };
  }

  private fault(
    found: number,
    sourceId: number,
    pasid: number,
    address: number,
    access: number,
    type: number,
  ): Translated {
    const walker = this.walker;
    const reason = this.reportedReason(found, access);
    if (this.isHidden(walker, reason)) {
      this.faults.hide();
      return TRANSLATED.BLOCKED;
    }
    const ridPasid = this.faultStyle === VTD_FAULT_STYLE.QEMU && found >= PAGING_CODES;
    const high = Math.floor(address / WORD) >>> 0;
    const recorded = ridPasid ? walker.pasid : pasid;
    this.faults.record((address & 0xffff_f000) >>> 0, high, sourceId, recorded, reason, (access & WRITE) === 0, type);
    return TRANSLATED.FAULT;
  }
}

function passThrough(address: number, domain: number, out: Translation): void {
  out.physical = address;
  out.pageMask = 0xfff;
  out.allowed = ACCESS.READ | WRITE;
  out.domain = domain;
}
