import { isSize } from './access-parts.js';
import { fits, readBar, writeBar } from './bar-access.js';
import type { BarOptions } from './bars.js';
import { defineBridgeHeader } from './bridge-header.js';
import { type Capability, configSizeOf, type PlacedCapability, placeCapabilities } from './capability.js';
import { PCI_CAP_ID } from './capability-ids.js';
import {
  PCI_EXP,
  PCI_EXP_DEVICE_CONTROL,
  PCI_MSIX,
  PCI_MSIX_CONTROL,
  PCI_PM,
  PCI_PMCSR,
} from './capability-layouts.js';
import { PCI_COMMAND, PCI_HEADER, PCI_STATUS } from './config-header.js';
import { type FunctionBars, ownBars, virtualBars } from './function-bars.js';
import { tableOf, withTable } from './msix-placement.js';
import type { MsixTable } from './msix-table.js';
import type { PciDevice, PciHost, ResetKind } from './pci-host.js';
import { POWER_STATE } from './power-capability.js';
import { allOnes, RegisterBlock } from './register-block.js';
import { defineHeader, type Type0Options } from './type0-header.js';
import { defineVirtualHeader } from './virtual-header.js';
import type { VirtualSeat } from './virtual-seat.js';

export interface PciFunctionOptions extends Type0Options {
  readonly bars: readonly BarOptions[];
  /** In the order of their chains. */
  readonly capabilities: readonly Capability[];
  /** Memory for the MSI-X table, when threads share it: see {@link MsixTable}. */
  readonly msixWords?: Int32Array;
  /** A virtual function: its ids are not readable, and its BARs are the shares that its seat says. */
  readonly virtual?: VirtualSeat;
  /** A port with a bus behind it: a type 1 header, see `PciPort`. */
  readonly isBridge?: boolean;
}

const { IO_SPACE_ENABLE, MEMORY_SPACE_ENABLE, BUS_MASTER_ENABLE, INTERRUPT_DISABLE } = PCI_COMMAND;

/**
 * A PCI function as software sees it. Accesses take any offset and any value and never throw:
 * what is not there reads as all ones, and writes to it vanish.
 */
export class PciFunction {
  /** Configuration space, 256 bytes, or 4096 with the PCI Express capability. The device may change registers in it. */
  readonly config: RegisterBlock;
  /** Undefined without the capability. */
  readonly msix: MsixTable | undefined = undefined;
  /** Surprise removal: nothing answers any more. */
  removed = false;
  /** May send memory requests: bus mastering is on, and the function in D0. */
  mayMaster = false;

  private readonly host: PciHost;
  private readonly device: PciDevice;
  private readonly bars: FunctionBars;
  private readonly virtual: VirtualSeat | undefined;
  private readonly placed: readonly PlacedCapability[];
  private readonly hooked: readonly PlacedCapability[];
  private readonly pmAt: number;
  private readonly expressAt: number;
  private readonly msixAt: number;
  private powerState: number = POWER_STATE.D0;
  /** What the device asks the pin for, and what the host was told last. */
  private intxWanted = false;
  private intxDriven = false;

  constructor(options: PciFunctionOptions, host: PciHost, device: PciDevice) {
    this.host = host;
    this.device = device;
    this.config = new RegisterBlock(configSizeOf(options.capabilities, PCI_CAP_ID.PCI_EXPRESS));
    this.placed = placeCapabilities(options.capabilities, this.config);
    this.hooked = this.placed.filter(({ capability }) => capability.hooks !== undefined);
    this.pmAt = this.capabilityAt(PCI_CAP_ID.POWER_MANAGEMENT);
    this.expressAt = this.capabilityAt(PCI_CAP_ID.PCI_EXPRESS);
    this.msixAt = this.capabilityAt(PCI_CAP_ID.MSI_X);
    this.virtual = options.virtual;
    this.defineHeader(options);
    let { bars } = options;
    if (this.msixAt >= 0) {
      this.msix = tableOf(
        this.config,
        this.msixAt,
        (low, high, data, vector) => host.sendMessage(low, high, data, vector),
        options.msixWords,
      );
      bars = withTable(bars, this.config, this.msixAt, this.msix);
    }
    this.bars = options.virtual === undefined ? ownBars(bars, this.config) : virtualBars(bars, options.virtual);
  }

  /** Read configuration space. @param size 1 to 4 bytes */
  configRead(offset: number, size: number): number {
    if (this.removed || !isSize(size)) return allOnes(isSize(size) ? size : 4);
    for (const { capability, at, size: length } of this.hooked) {
      if (!overlaps(offset, size, at, length)) continue;
      capability.hooks!.beforeRead?.(this, this.config.bytes.subarray(at, at + length), offset - at, size);
      if (this.removed) return allOnes(size);
    }
    return this.config.softwareRead(offset, size);
  }

  /** Write configuration space; effects have happened when it returns. @param size 1 to 4 bytes */
  configWrite(offset: number, size: number, value: number): void {
    if (this.removed || !isSize(size)) return;
    this.config.softwareWrite(offset, size, value);
    for (const { capability, at, size: length } of this.hooked) {
      if (this.removed) return;
      if (!overlaps(offset, size, at, length)) continue;
      capability.hooks!.afterWrite?.(this, this.config.bytes.subarray(at, at + length), offset - at, size);
    }
    this.settle();
    if (!this.removed) this.device.configWritten?.();
  }

  /**
   * Read a BAR: all ones while it is not decoded (memory or I/O space is off, D3hot), past its end, and without one.
   * @param size 1 to 4 bytes
   */
  barRead(bar: number, offset: number, size: number): number {
    const found = this.decodes(bar) ? this.bars.get(bar) : undefined;
    if (!isSize(size)) return allOnes(4);
    return found !== undefined && fits(found, offset, size) ? readBar(found, offset, size, this) : allOnes(size);
  }

  /** Write a BAR; without effect where {@link barRead} gives all ones. @param size 1 to 4 bytes */
  barWrite(bar: number, offset: number, size: number, value: number): void {
    const found = this.decodes(bar) ? this.bars.get(bar) : undefined;
    if (found !== undefined && isSize(size) && fits(found, offset, size)) writeBar(found, offset, size, value, this);
  }

  /**
   * Read what lies behind a BAR whether or not it is decoded: for a window in configuration space, which works before
   * BARs are assigned. 0 where there is nothing, and in D3hot.
   */
  windowRead(bar: number, offset: number, size: number): number {
    const found = this.answers() ? this.bars.get(bar) : undefined;
    return found !== undefined && isSize(size) && fits(found, offset, size) ? readBar(found, offset, size, this) : 0;
  }

  /** Write what lies behind a BAR, under the same conditions. */
  windowWrite(bar: number, offset: number, size: number, value: number): void {
    const found = this.answers() ? this.bars.get(bar) : undefined;
    if (found !== undefined && isSize(size) && fits(found, offset, size)) writeBar(found, offset, size, value, this);
  }

  /** Where a BAR is decoded, or -1. */
  barAddress(bar: number): number {
    return this.bars.get(bar)?.address ?? -1;
  }

  /** The BAR that is decoded at an address of memory, or of I/O, or -1. */
  barAt(address: number, io: boolean): number {
    return this.bars.at(address, io);
  }

  /** Offset of the first capability with an id below 0x100 (`extended`: from 0x100 on), or -1. */
  capabilityAt(id: number, extended = false): number {
    const found = this.placed.find(
      ({ capability }) => capability.id === id && (capability.version !== undefined) === extended,
    );
    return found?.at ?? -1;
  }

  /** The function wants its pin asserted, or no more. With MSI-X on, a pin is not used (PCIe 5.0 §6.1.4). */
  setIntx(wanted: boolean): void {
    if (this.removed || wanted === this.intxWanted) return;
    this.intxWanted = wanted;
    this.settleIntx();
  }

  /** Of a virtual function: VF MSE or a VF BAR changed. */
  followPhysical(): void {
    if (!this.removed) this.settleBars();
  }

  /** The host resets the function: power-on, or what a function-level reset through the capability does too. */
  reset(kind: ResetKind): void {
    if (this.removed) return;
    this.config.reset(kind !== 'power-on');
    this.powerState = POWER_STATE.D0;
    // Virtual functions end before their physical one.
    this.tellHooks();
    // Messages and DMA end before the rest: what the device's thread still raises is not to be found pending later.
    this.msix?.setGate(false, true);
    const mastered = this.mayMaster;
    this.mayMaster = false;
    if (mastered) this.device.masterChanged?.(false);
    if (this.removed) return;
    this.device.reset(kind);
    this.msix?.reset();
    this.intxWanted = false;
    if (!this.removed) this.settle();
  }

  /** The function is pulled out. Also from within one of its own handlers. */
  remove(): void {
    if (this.removed) return;
    this.removed = true;
    this.mayMaster = false;
    this.msix?.setGate(false, true);
    if (this.intxDriven) this.host.setIntx(false);
    this.intxDriven = false;
    this.tellHooks();
    this.settleBars();
    this.device.removed?.();
  }

  private defineHeader(options: PciFunctionOptions): void {
    const has = (io: boolean): boolean => options.bars.some(({ space }) => (space === 'io') === io);
    if (options.virtual !== undefined) defineVirtualHeader(this.config, options);
    else if (options.isBridge === true) defineBridgeHeader(this.config, options);
    else defineHeader(this.config, options, { io: has(true), memory: has(false), express: this.expressAt >= 0 });
  }

  private answers(): boolean {
    return !this.removed && this.powerState === POWER_STATE.D0;
  }

  private decodes(bar: number): boolean {
    const found = this.bars.get(bar);
    return found !== undefined && this.opens(found.io);
  }

  /** Whether BARs of I/O, or of memory, are decoded. */
  private opens(io: boolean): boolean {
    if (!this.answers()) return false;
    if (this.virtual !== undefined) return !io && this.virtual.memoryEnabled;
    const enable = io ? IO_SPACE_ENABLE : MEMORY_SPACE_ENABLE;
    return (this.config.get16(PCI_HEADER.COMMAND) & enable) !== 0;
  }

  private settleBars(): void {
    this.bars.settle(
      (io) => this.opens(io),
      (bar, address) => this.host.barMoved?.(bar, address),
    );
  }

  private tellHooks(): void {
    for (const { capability, at, size } of this.hooked)
      capability.hooks!.afterReset?.(this, this.config.bytes.subarray(at, at + size));
  }

  /** Make true what the registers say, whichever of them changed. */
  private settle(): void {
    const { config } = this;
    const control = this.expressAt < 0 ? 0 : config.get16(this.expressAt + PCI_EXP.DEVICE_CONTROL);
    if ((control & PCI_EXP_DEVICE_CONTROL.INITIATE_FUNCTION_LEVEL_RESET) !== 0) {
      this.reset('function-level');
      return;
    }
    if (this.pmAt >= 0 && this.settlePower(config.get16(this.pmAt + PCI_PM.PMCSR))) {
      this.reset('d3hot');
      return;
    }
    const mayMaster = this.answers() && (config.get16(PCI_HEADER.COMMAND) & BUS_MASTER_ENABLE) !== 0;
    if (mayMaster !== this.mayMaster) {
      this.mayMaster = mayMaster;
      this.device.masterChanged?.(mayMaster);
    }
    if (this.removed) return;
    this.settleBars();
    if (this.removed) return;
    this.settleIntx();
    if (this.msix === undefined || this.removed) return;
    const message = config.get16(this.msixAt + PCI_MSIX.MESSAGE_CONTROL);
    // PCIe 5.0 §7.5.1.1.3: without bus mastering there are no messages; §6.1.4.5: events then stay pending.
    const held = (message & PCI_MSIX_CONTROL.FUNCTION_MASK) !== 0 || !this.mayMaster;
    this.msix.setGate((message & PCI_MSIX_CONTROL.ENABLE) !== 0, held);
  }

  /** @returns whether the function left D3hot in a way that resets it */
  private settlePower(pmcsr: number): boolean {
    const wanted = pmcsr & PCI_PMCSR.POWER_STATE;
    if (wanted === this.powerState) return false;
    if (wanted !== POWER_STATE.D0 && wanted !== POWER_STATE.D3_HOT) {
      // PCIe 5.0 §7.5.2.2: a state that is not supported is dropped without a change.
      this.config.set16(this.pmAt + PCI_PM.PMCSR, (pmcsr & ~PCI_PMCSR.POWER_STATE) | this.powerState);
      return false;
    }
    this.powerState = wanted;
    return wanted === POWER_STATE.D0 && (pmcsr & PCI_PMCSR.NO_SOFT_RESET) === 0;
  }

  private settleIntx(): void {
    const { config } = this;
    const messages =
      this.msixAt >= 0 && (config.get16(this.msixAt + PCI_MSIX.MESSAGE_CONTROL) & PCI_MSIX_CONTROL.ENABLE) !== 0;
    const pending = this.intxWanted && !messages && config.get8(PCI_HEADER.INTERRUPT_PIN) !== 0;
    const status = config.get16(PCI_HEADER.STATUS) & ~PCI_STATUS.INTERRUPT_STATUS;
    config.set16(PCI_HEADER.STATUS, status | (pending ? PCI_STATUS.INTERRUPT_STATUS : 0));
    const disabled = (config.get16(PCI_HEADER.COMMAND) & INTERRUPT_DISABLE) !== 0;
    const driven = pending && !disabled && this.powerState === POWER_STATE.D0;
    if (driven === this.intxDriven) return;
    this.intxDriven = driven;
    this.host.setIntx(driven);
  }
}

/** False for an offset that is no number. */
const overlaps = (offset: number, size: number, at: number, length: number): boolean =>
  offset < at + length && offset + size > at;
