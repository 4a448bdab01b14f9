import type { Bar } from './bars.js';
import type { Capability } from './capability.js';
import { PCI_SRIOV, PCI_SRIOV_CONTROL } from './capability-layouts.js';
import type { PciFunction } from './pci-function.js';
import type { RegisterBlock } from './register-block.js';
import { type SriovOptions, sriovRegisters, type VfRouting } from './sriov-capability.js';
import type { VirtualSeat } from './virtual-seat.js';

const { VF_ENABLE, VF_MSE, ARI_CAPABLE_HIERARCHY } = PCI_SRIOV_CONTROL;
const PAGE = 4096;
const NOWHERE = -1;

/** A physical function's SR-IOV capability, and how its virtual functions are made. */
export interface VirtualFunctionsOptions extends SriovOptions {
  /** VF Enable was set: make one of the functions. When it is cleared, the function is removed, and its device told so. */
  readonly make: (seat: VirtualSeat) => PciFunction;
  /** One of the functions was removed: nothing leads to it any more. @param index from 0 on */
  readonly gone?: (index: number) => void;
}

/**
 * The virtual functions of a physical one, and the SR-IOV capability that they come and go by (PCIe 5.0 §9.3.3). Software's
 * writes never throw; what is undefined there is settled here: NumVFs above TotalVFs, a System Page Size of no or several
 * bits, and changes of NumVFs, System Page Size and ARI Capable Hierarchy while VF Enable is set are not taken.
 */
export class VirtualFunctions {
  /** For the physical function. */
  readonly capability: Capability;
  readonly totalVfs: number;
  /** Routing id of the physical function; whoever puts it on a bus says it. */
  physicalId: () => number = () => 0;

  private readonly make: (seat: VirtualSeat) => PciFunction;
  private readonly gone: (index: number) => void;
  private readonly bars: readonly (Bar | undefined)[];
  private readonly routing: VfRouting;
  private readonly plainRouting: VfRouting;
  private readonly live: PciFunction[] = [];
  /** Routing ids of the functions are `first + n * stride`, as when VF Enable was set. */
  private first = 0;
  private stride = 1;
  // As taken over last: what a write that is not taken goes back to.
  private enabled = false;
  private memoryEnabled = false;
  private ari = 0;
  private numVfs = 0;
  private pages = 1;
  /** Where each VF BAR is, by index. */
  private readonly places: number[];

  constructor(options: VirtualFunctionsOptions) {
    const { capability, bars } = sriovRegisters(options, {
      afterWrite: (pci) => this.settle(pci),
      afterReset: (pci) => this.settle(pci),
    });
    this.capability = capability;
    this.bars = bars;
    this.places = bars.map(() => NOWHERE);
    this.totalVfs = options.totalVfs;
    this.make = options.make;
    this.gone = options.gone ?? (() => {});
    this.routing = options.routing;
    this.plainRouting = options.plainRouting ?? options.routing;
  }

  /** The functions there are now, in their order. */
  get functions(): readonly PciFunction[] {
    return this.live;
  }

  /** Routing id of the n-th function, from 0 on. */
  routingIdOf(index: number): number {
    return this.first + index * this.stride;
  }

  /** The function with a routing id, or undefined. */
  at(routingId: number): PciFunction | undefined {
    const steps = routingId - this.first;
    if (this.live.length === 0 || steps < 0) return undefined;
    return steps % this.stride === 0 ? this.live[steps / this.stride] : undefined;
  }

  /** The function that decodes an address of memory, or undefined. */
  claims(address: number): PciFunction | undefined {
    const index = this.shareAt(address);
    const found = index < 0 ? undefined : this.live[index];
    return found !== undefined && found.barAt(address, false) >= 0 ? found : undefined;
  }

  /** Index of the function whose share of a VF BAR has an address, whatever state it is in; or -1. */
  shareAt(address: number): number {
    if (!this.memoryEnabled) return -1;
    for (let bar = 0; bar < this.bars.length; bar++) {
      const size = this.barSize(bar);
      const place = this.places[bar]!;
      if (size === 0 || place < 0 || address < place) continue;
      const index = Math.floor((address - place) / size);
      if (index < this.live.length) return index;
    }
    return -1;
  }

  /** Make true what the registers say. */
  private settle(pf: PciFunction): void {
    const { config } = pf;
    const at = pf.capabilityAt(this.capability.id, true);
    const control = config.get16(at + PCI_SRIOV.CONTROL);
    const wanted = (control & VF_ENABLE) !== 0 && !pf.removed;
    if (!wanted) this.vanish();
    this.takeSettings(config, at, control);
    this.memoryEnabled = (control & VF_MSE) !== 0;
    this.placeBars(config, at);
    if (wanted && !this.enabled) this.appear();
    for (const vf of this.live) vf.followPhysical();
  }

  /** What is frozen while there are functions, and what must be valid before. */
  private takeSettings(config: RegisterBlock, at: number, control: number): void {
    if (this.enabled) {
      config.set16(at + PCI_SRIOV.CONTROL, (control & ~ARI_CAPABLE_HIERARCHY) | this.ari);
      config.set16(at + PCI_SRIOV.NUM_VFS, this.numVfs);
      config.set32(at + PCI_SRIOV.SYSTEM_PAGE_SIZE, this.pages);
      return;
    }
    const numVfs = config.get16(at + PCI_SRIOV.NUM_VFS);
    if (numVfs <= this.totalVfs) this.numVfs = numVfs;
    else config.set16(at + PCI_SRIOV.NUM_VFS, this.numVfs);
    const pages = config.get32(at + PCI_SRIOV.SYSTEM_PAGE_SIZE);
    if (pages !== 0 && (pages & (pages - 1)) === 0) this.pages = pages;
    else config.set32(at + PCI_SRIOV.SYSTEM_PAGE_SIZE, this.pages);
    this.ari = control & ARI_CAPABLE_HIERARCHY;
    const { first, stride } = this.ari === 0 ? this.plainRouting : this.routing;
    config.set16(at + PCI_SRIOV.FIRST_VF_OFFSET, first);
    config.set16(at + PCI_SRIOV.VF_STRIDE, stride);
  }

  /** A share is never smaller than the system's pages, and so the address bits below are 0 (PCIe 5.0 §9.3.3.14). */
  private placeBars(config: RegisterBlock, at: number): void {
    for (const bar of this.bars) {
      if (bar === undefined) continue;
      const register = at + PCI_SRIOV.VF_BARS + bar.index * 4;
      const size = this.barSize(bar.index);
      if (size < 0x1_0000_0000) config.set32(register, ((config.get32(register) & ~(size - 1)) | bar.flags) >>> 0);
      this.places[bar.index] = bar.programmed(config, at + PCI_SRIOV.VF_BARS, size * Math.max(this.numVfs, 1));
    }
  }

  private appear(): void {
    this.enabled = true;
    const { first, stride } = this.ari === 0 ? this.plainRouting : this.routing;
    this.first = this.physicalId() + first;
    this.stride = Math.max(stride, 1);
    // Past bus 255 there is no function: its requests would carry another's routing id.
    for (let index = 0; index < this.numVfs && this.routingIdOf(index) <= 0xffff; index++)
      this.live.push(this.make(this.seat(index)));
  }

  /** The last one first: each is gone, and does no DMA any more, before the next one. */
  private vanish(): void {
    this.enabled = false;
    while (this.live.length > 0) {
      this.live.pop()!.remove();
      this.gone(this.live.length);
    }
  }

  private seat(index: number): VirtualSeat {
    const isMemoryEnabled = (): boolean => this.memoryEnabled;
    return {
      index,
      routingId: this.routingIdOf(index),
      get memoryEnabled() {
        return isMemoryEnabled();
      },
      barSize: (bar) => this.barSize(bar),
      barAddress: (bar) => {
        const place = this.places[bar] ?? NOWHERE;
        return place < 0 ? NOWHERE : place + index * this.barSize(bar);
      },
    };
  }

  private barSize(index: number): number {
    const bar = this.bars[index];
    return bar === undefined ? 0 : Math.max(bar.size, this.pages * PAGE);
  }
}
