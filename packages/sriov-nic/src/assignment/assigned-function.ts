import {
  type FoundBar,
  type FoundFunction,
  PCI_BAR,
  PCI_CAP_ID,
  PCI_COMMAND,
  PCI_EXP,
  PCI_EXP_DEVICE_CONTROL,
  PCI_HEADER,
  PCI_SRIOV,
  PCI_TYPE0,
  type PciFunction,
  RegisterBlock,
  type RootComplex,
  restoreBars,
} from '@ringwire/pci';

const HEADER = PCI_HEADER.HEADER_END;
const BARS = PCI_HEADER.BASE_ADDRESS;
const BARS_END: number = BARS + PCI_TYPE0.BARS * 4;
const WORD = 0x1_0000_0000;
const { IO_SPACE_ENABLE, MEMORY_SPACE_ENABLE } = PCI_COMMAND;
const { INITIATE_FUNCTION_LEVEL_RESET } = PCI_EXP_DEVICE_CONTROL;
const ones = (size: number): number => 2 ** (size * 8) - 1;

/**
 * A function as the driver that it was given to sees it, in terms of configuration space and of BARs. BAR registers are
 * its own: addresses in them are the guest's, not the machine's. Of a virtual function, ids and Memory Space Enable are made
 * up too. Everything else is the function's, reached through the machine's ECAM and memory. When it is revoked, or the
 * function is gone, it reads as all ones.
 */
export class AssignedFunction {
  readonly routingId: number;
  private readonly machine: RootComplex;
  private readonly found: FoundFunction;
  private readonly pci: PciFunction | undefined;
  private readonly bars: readonly (FoundBar | undefined)[];
  private readonly isVirtual: boolean;
  /** Of the SR-IOV capability, which is the host's; -1. */
  private readonly sriovAt: number;
  private readonly deviceControl: number;
  /** The first 64 bytes, of which those that are {@link emulates} count. */
  private readonly own = new RegisterBlock(HEADER);
  private isRevoked = false;

  constructor(machine: RootComplex, found: FoundFunction) {
    this.machine = machine;
    this.found = found;
    this.routingId = found.routingId;
    this.pci = machine.functionAt(found.routingId);
    this.isVirtual = found.physicalId !== undefined;
    this.sriovAt = found.sriov?.at ?? -1;
    const express = this.pci?.capabilityAt(PCI_CAP_ID.PCI_EXPRESS) ?? -1;
    this.deviceControl = express < 0 ? -1 : express + PCI_EXP.DEVICE_CONTROL;
    const bars = new Array<FoundBar | undefined>(PCI_TYPE0.BARS).fill(undefined);
    for (const bar of found.bars) bars[bar.index] = bar;
    this.bars = bars;
    this.own.define(PCI_HEADER.VENDOR_ID, 2, found.vendorId);
    this.own.define(PCI_HEADER.DEVICE_ID, 2, found.deviceId);
    this.own.define(PCI_HEADER.COMMAND, 2, 0, { rw: MEMORY_SPACE_ENABLE });
    for (const bar of found.bars) defineBar(this.own, bar);
  }

  /** It is taken away: nothing of the function is in reach any more. */
  revoke(): void {
    this.isRevoked = true;
  }

  configRead(offset: number, size: number): number {
    if (this.isGone()) return ones(size);
    let value = this.machine.configRead(this.routingId, offset, size);
    if (!(offset < BARS_END)) return value;
    for (let i = 0; i < size; i++) {
      const emulated = this.emulates(offset + i);
      if (emulated === 0) continue;
      const byte = Math.floor(value / 2 ** (i * 8)) & 0xff;
      value += ((byte & ~emulated) - byte + (this.own.get8(offset + i) & emulated)) * 2 ** (i * 8);
    }
    return value;
  }

  configWrite(offset: number, size: number, value: number): void {
    if (this.isGone() || this.isHosts(offset, size)) return;
    if (offset < HEADER) this.own.softwareWrite(offset, size, value);
    // BARs of the machine stay where they are.
    if (offset < BARS_END && offset + size > BARS) this.writeBeside(offset, size, value);
    else this.machine.configWrite(this.routingId, offset, size, value);
    if (!this.resets(offset, size, value)) return;
    this.own.reset(false);
    restoreBars(this.machine, this.found);
  }

  /** @param size 1, 2 or 4 bytes */
  barRead(bar: number, offset: number, size: number): number {
    const found = this.reach(bar, offset, size);
    if (found === undefined) return ones(size);
    const address = found.address + offset;
    return found.space === 'io' ? this.machine.ioRead(address, size) : this.machine.memoryRead(address, size);
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    const found = this.reach(bar, offset, size);
    if (found === undefined) return;
    const address = found.address + offset;
    if (found.space === 'io') this.machine.ioWrite(address, size, value);
    else this.machine.memoryWrite(address, size, value);
  }

  private isGone(): boolean {
    return this.isRevoked || this.pci === undefined || this.pci.removed;
  }

  /** The BAR, if it is decoded and the access lies in it. */
  private reach(bar: number, offset: number, size: number): FoundBar | undefined {
    const found = this.bars[bar];
    if (found === undefined || this.isGone() || !(offset >= 0 && offset + size <= found.size)) return undefined;
    const enable = found.space === 'io' ? IO_SPACE_ENABLE : MEMORY_SPACE_ENABLE;
    return (this.configRead(PCI_HEADER.COMMAND, 2) & enable) !== 0 ? found : undefined;
  }

  /** The bytes of an access to BARs that lie before or behind them. */
  private writeBeside(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      if (at < BARS || at >= BARS_END) this.machine.configWrite(this.routingId, at, 1, (value >>> (i * 8)) & 0xff);
    }
  }

  /** Bits of a byte of the header that are not the function's own. */
  private emulates(at: number): number {
    if (at >= BARS && at < BARS_END) return 0xff;
    if (!this.isVirtual || at < 0) return 0;
    return at < PCI_HEADER.COMMAND ? 0xff : at === PCI_HEADER.COMMAND ? MEMORY_SPACE_ENABLE : 0;
  }

  /** Virtual functions are for the host to switch on. */
  private isHosts(offset: number, size: number): boolean {
    return this.sriovAt >= 0 && offset + size > this.sriovAt && offset < this.sriovAt + PCI_SRIOV.SIZE;
  }

  private resets(offset: number, size: number, value: number): boolean {
    const byte = this.deviceControl + 1 - offset;
    if (this.deviceControl < 0 || byte < 0 || byte >= size) return false;
    return (((value >>> (byte * 8)) << 8) & INITIATE_FUNCTION_LEVEL_RESET) !== 0;
  }
}

/** The register of a BAR, so that a guest's sizing finds its size. */
function defineBar(block: RegisterBlock, { index, space, prefetchable, size }: FoundBar): void {
  const at = BARS + index * 4;
  const flags =
    space === 'io'
      ? PCI_BAR.IO_SPACE
      : (space === 'memory64' ? PCI_BAR.MEMORY_TYPE_64 : 0) | (prefetchable ? PCI_BAR.PREFETCHABLE : 0);
  block.define(at, 4, flags, { rw: size >= WORD ? 0 : ~(size - 1) });
  if (space === 'memory64') block.define(at + 4, 4, 0, { rw: size > WORD ? ~(size / WORD - 1) : ~0 });
}
