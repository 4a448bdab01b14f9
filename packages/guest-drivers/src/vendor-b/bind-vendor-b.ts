import { VB_MAGIC, VB_REG, VB_VERSION, VENDOR_B_BAR, VENDOR_B_COUNT, VENDOR_B_ID } from '@ringwire/nic-spec/vendor-b';
import { PCI_COMMAND, PCI_HEADER } from '@ringwire/pci';
import type { PciAccess } from '../access.js';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import { barSizes } from '../pci-bars.js';
import { findCapabilities, type PciMsix } from '../pci-capabilities.js';

/** A function of vendor B's that a driver has taken: memory accesses and bus mastering are on. */
export interface VendorBRegisters {
  readonly access: PciAccess;
  readonly msix: PciMsix;
  read(register: number): number;
  write(register: number, value: number): void;
  /** Both words of a doorbell, low one first. @param at offset of the low word in the queue's page */
  ring(page: number, at: number, low: number, high: number): void;
}

/**
 * Take a function into use if it is vendor B's. A function of any other kind is not touched beyond its ids: rings and
 * registers of one vendor mean nothing to another's driver.
 * @returns NO_DEVICE for one of another kind, NOT_USABLE for one that is not what its ids say
 */
export function bindVendorB(access: PciAccess): VendorBRegisters | Breakdown {
  const vendor = access.configRead(PCI_HEADER.VENDOR_ID, 2);
  const device = access.configRead(PCI_HEADER.DEVICE_ID, 2);
  if (vendor !== VENDOR_B_ID.VENDOR || (device !== VENDOR_B_ID.PF && device !== VENDOR_B_ID.VF)) {
    const wanted = `${hex(VENDOR_B_ID.VENDOR)}:${hex(VENDOR_B_ID.PF)} or ${hex(VENDOR_B_ID.VF)}`;
    const message = `PCI id ${hex(vendor)}:${hex(device)} is no function of vendor B, want ${wanted}: registers and rings are its vendor's own`;
    return breakdown(BREAK.NO_DEVICE, message);
  }
  const size = barSizes(access)[0]!;
  if (size < VENDOR_B_BAR.SIZE)
    return breakdown(BREAK.NOT_USABLE, `BAR 0 has ${size} bytes, want ${VENDOR_B_BAR.SIZE} (vendor B datasheet §1)`);
  const { msix } = findCapabilities(access);
  if (msix === undefined || msix.vectors < VENDOR_B_COUNT.VECTORS)
    return breakdown(BREAK.NOT_USABLE, `${msix?.vectors ?? 0} MSI-X vectors, want ${VENDOR_B_COUNT.VECTORS}`);
  const command = access.configRead(PCI_HEADER.COMMAND, 2);
  const { MEMORY_SPACE_ENABLE, BUS_MASTER_ENABLE } = PCI_COMMAND;
  access.configWrite(PCI_HEADER.COMMAND, 2, command | MEMORY_SPACE_ENABLE | BUS_MASTER_ENABLE);
  const registers = registersOf(access, msix);
  const id = registers.read(VB_REG.ID);
  if (id !== VB_MAGIC)
    return breakdown(
      BREAK.NOT_USABLE,
      `ID reads 0x${id.toString(16)}, want 0x${VB_MAGIC.toString(16)} (vendor B datasheet §2)`,
    );
  const major = registers.read(VB_REG.VERSION) >>> 16;
  if (major !== VB_VERSION.MAJOR)
    return breakdown(BREAK.NOT_USABLE, `VERSION is ${major}, want ${VB_VERSION.MAJOR}: this driver knows no other`);
  return registers;
}

function registersOf(access: PciAccess, msix: PciMsix): VendorBRegisters {
  const doorbell = (page: number, at: number): number =>
    VENDOR_B_BAR.DOORBELLS + page * VENDOR_B_BAR.DOORBELL_PAGE + at;
  return {
    access,
    msix,
    read: (register) => access.barRead(0, VENDOR_B_BAR.REGISTERS + register, 4),
    write: (register, value) => access.barWrite(0, VENDOR_B_BAR.REGISTERS + register, 4, value),
    ring: (page, at, low, high) => {
      access.barWrite(0, doorbell(page, at), 4, low);
      access.barWrite(0, doorbell(page, at) + 4, 4, high);
    },
  };
}

const hex = (id: number): string => id.toString(16).padStart(4, '0');
