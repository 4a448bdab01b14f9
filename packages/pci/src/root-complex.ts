import { readBytes, readParts, writeBytes, writeParts } from './access-parts.js';
import { PCI_AER_UNCORRECTABLE } from './capability-layouts.js';
import { PCIE_CONFIG_SIZE } from './config-header.js';
import { logAtRoot, logError, type TlpHeader } from './error-log.js';
import { type Located, PciBus } from './pci-bus.js';
import type { PciFunction } from './pci-function.js';
import { allOnes } from './register-block.js';
import { requestHeader } from './tlp-header.js';

/** Bytes of the window that has the configuration space of every routing id. */
export const ECAM_BYTES: number = 0x1_0000 * PCIE_CONFIG_SIZE;

/**
 * The host's side of PCI Express: configuration and memory accesses of the processors find the function that answers. They
 * take any offset or address and 1 to 4 bytes, and never throw. What nobody answers reads as all ones; a memory or I/O
 * access that was sent down a link in vain is recorded by the device at its end.
 */
export class RootComplex {
  /** Bus 0. */
  readonly bus: PciBus = new PciBus();

  /** @param routingId bus << 8 | device << 3 | function */
  functionAt(routingId: number): PciFunction | undefined {
    return this.bus.functionAt(routingId);
  }

  /** Every function there is, virtual ones included. */
  functions(): Generator<Located> {
    return this.bus.functions();
  }

  /** Where a function is, as buses are numbered now; undefined for one that is not plugged in. */
  routingIdOf(pci: PciFunction): number | undefined {
    for (const located of this.bus.functions()) if (located.pci === pci) return located.routingId;
    return undefined;
  }

  configRead(routingId: number, offset: number, size: number): number {
    return this.bus.functionAt(routingId)?.configRead(offset, size) ?? allOnes(size);
  }

  configWrite(routingId: number, offset: number, size: number, value: number): void {
    this.bus.functionAt(routingId)?.configWrite(offset, size, value);
  }

  /**
   * Read the ECAM window (PCIe 5.0 §7.2.2).
   * @param offset from its start: routing id in bits 27:12
   */
  ecamRead(offset: number, size: number): number {
    return readParts(offset, size, this.readConfig);
  }

  ecamWrite(offset: number, size: number, value: number): void {
    writeParts(offset, size, value, this.writeConfig);
  }

  /** The same for any number of bytes. */
  ecamReadBytes(offset: number, into: Uint8Array): void {
    readBytes(offset, into, this.readConfig);
  }

  ecamWriteBytes(offset: number, bytes: Uint8Array): void {
    writeBytes(offset, bytes, this.writeConfig);
  }

  memoryRead(address: number, size: number): number {
    return readParts(address, size, this.readMemory);
  }

  memoryWrite(address: number, size: number, value: number): void {
    writeParts(address, size, value, this.writeMemory);
  }

  memoryReadBytes(address: number, into: Uint8Array): void {
    readBytes(address, into, this.readMemory);
  }

  memoryWriteBytes(address: number, bytes: Uint8Array): void {
    writeBytes(address, bytes, this.writeMemory);
  }

  ioRead(port: number, size: number): number {
    return readParts(port, size, (at, part) => this.readPart(at, part, true));
  }

  ioWrite(port: number, size: number, value: number): void {
    writeParts(port, size, value, (at, part, bits) => this.writePart(at, part, bits, true));
  }

  /**
   * A function could not do what was asked of it: it is recorded there, and told to the root port above.
   * @param error  a `PCI_AER_UNCORRECTABLE`
   * @param posted whether nobody waits for an answer
   */
  reportError({ pci, routingId }: Located, error: number, header: TlpHeader, posted: boolean): void {
    const root = this.bus.portTo(routingId);
    const message = logError(pci, error, header, posted);
    if (root !== undefined) logAtRoot(root, routingId, message);
  }

  private readonly readConfig = (offset: number, size: number): number =>
    this.configRead(Math.floor(offset / PCIE_CONFIG_SIZE), offset % PCIE_CONFIG_SIZE, size);

  private readonly writeConfig = (offset: number, size: number, value: number): void =>
    this.configWrite(Math.floor(offset / PCIE_CONFIG_SIZE), offset % PCIE_CONFIG_SIZE, size, value);

  private readonly readMemory = (address: number, size: number): number => this.readPart(address, size, false);

  private readonly writeMemory = (address: number, size: number, value: number): void =>
    this.writePart(address, size, value, false);

  private readPart(address: number, size: number, io: boolean): number {
    const pci = this.bus.claims(address, io);
    if (pci === undefined) {
      this.strayed(address, size, io, false);
      return allOnes(size);
    }
    const bar = pci.barAt(address, io);
    return pci.barRead(bar, address - pci.barAddress(bar), size);
  }

  private writePart(address: number, size: number, value: number, io: boolean): void {
    const pci = this.bus.claims(address, io);
    if (pci === undefined) {
      this.strayed(address, size, io, true);
      return;
    }
    const bar = pci.barAt(address, io);
    pci.barWrite(bar, address - pci.barAddress(bar), size, value);
  }

  private strayed(address: number, size: number, io: boolean, isWrite: boolean): void {
    const device = this.bus.strayedTo(address, io);
    if (device === undefined) return;
    const header = requestHeader(address, size, isWrite, io);
    this.reportError(device, PCI_AER_UNCORRECTABLE.UNSUPPORTED_REQUEST, header, isWrite && !io);
  }
}
