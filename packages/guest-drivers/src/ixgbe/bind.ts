import { PCI_COMMAND, PCI_HEADER } from '@ringwire/pci';
import type { PciAccess } from '../access.js';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import { barSizes } from '../pci-bars.js';
import { findCapabilities, type PciMsix } from '../pci-capabilities.js';
import { Registers } from './registers.js';

/** What a driver knows how to drive. */
export interface KnownFunction {
  /** For people: "82599 virtual function". */
  readonly name: string;
  readonly vendor: number;
  readonly devices: readonly number[];
  /** Bytes of BAR 0 that its registers take at least. */
  readonly barBytes: number;
}

/** A function that a driver has taken: memory accesses and bus mastering are on. */
export interface BoundFunction {
  readonly access: PciAccess;
  readonly registers: Registers;
  readonly deviceId: number;
  readonly msix: PciMsix;
}

/**
 * Take a function into use if it is of a kind that is known. Rings and registers of one vendor mean nothing to another's
 * driver: a function of any other kind is not touched beyond its ids.
 * @returns NO_DEVICE for one of another kind, NOT_USABLE for one without the registers or the MSI-X table that it must have
 */
export function bindFunction(access: PciAccess, known: KnownFunction): BoundFunction | Breakdown {
  const vendor = access.configRead(PCI_HEADER.VENDOR_ID, 2);
  const deviceId = access.configRead(PCI_HEADER.DEVICE_ID, 2);
  if (vendor !== known.vendor || !known.devices.includes(deviceId)) {
    const wanted = known.devices.map((id) => `${hex(known.vendor)}:${hex(id)}`).join(' or ');
    return breakdown(
      BREAK.NO_DEVICE,
      `PCI id ${hex(vendor)}:${hex(deviceId)} is no ${known.name}, want ${wanted}: registers and rings are its vendor's own`,
    );
  }
  const size = barSizes(access)[0]!;
  if (size < known.barBytes)
    return breakdown(
      BREAK.NOT_USABLE,
      `BAR 0 has ${size} bytes, want ${known.barBytes} for a ${known.name}'s registers`,
    );
  const { msix } = findCapabilities(access);
  if (msix === undefined)
    return breakdown(BREAK.NOT_USABLE, `no MSI-X table that can be used, want one in a ${known.name}`);
  const command = access.configRead(PCI_HEADER.COMMAND, 2);
  const { MEMORY_SPACE_ENABLE, BUS_MASTER_ENABLE } = PCI_COMMAND;
  access.configWrite(PCI_HEADER.COMMAND, 2, command | MEMORY_SPACE_ENABLE | BUS_MASTER_ENABLE);
  return { access, registers: new Registers(access), deviceId, msix };
}

const hex = (id: number): string => id.toString(16).padStart(4, '0');
