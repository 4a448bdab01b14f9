import { PCI_BAR, PCI_COMMAND, PCI_HEADER, PCI_TYPE0 } from '@ringwire/pci';
import type { PciAccess } from './access.js';

const ONES = 0xffff_ffff;

/**
 * Bytes of each BAR, 0 where there is none: all ones are written, and the bits that stay 0 are the size. Decoding is off
 * meanwhile, and each BAR is put back. A device may answer with anything; the sizes are just numbers then.
 * @see PCI 3.0 §6.2.5.1
 */
export function barSizes(access: PciAccess): number[] {
  const command = access.configRead(PCI_HEADER.COMMAND, 2);
  access.configWrite(PCI_HEADER.COMMAND, 2, command & ~(PCI_COMMAND.IO_SPACE_ENABLE | PCI_COMMAND.MEMORY_SPACE_ENABLE));
  const sizes = new Array<number>(PCI_TYPE0.BARS).fill(0);
  for (let bar = 0; bar < PCI_TYPE0.BARS; bar++) {
    const low = access.configRead(at(bar), 4);
    const isIo = (low & PCI_BAR.IO_SPACE) !== 0;
    const isLong = !isIo && (low & PCI_BAR.MEMORY_TYPE) === PCI_BAR.MEMORY_TYPE_64 && bar + 1 < PCI_TYPE0.BARS;
    const writable = writableBits(access, at(bar)) & ~(isIo ? PCI_BAR.IO_FLAGS : PCI_BAR.MEMORY_FLAGS);
    if (!isLong) sizes[bar] = writable === 0 ? 0 : (~writable >>> 0) + 1;
    else {
      const high = writableBits(access, at(bar + 1));
      if (writable !== 0 || high !== 0) sizes[bar] = (~high >>> 0) * 2 ** 32 + (~writable >>> 0) + 1;
      bar++;
    }
  }
  access.configWrite(PCI_HEADER.COMMAND, 2, command);
  return sizes;
}

const at = (bar: number): number => PCI_HEADER.BASE_ADDRESS + bar * 4;

function writableBits(access: PciAccess, register: number): number {
  const before = access.configRead(register, 4);
  access.configWrite(register, 4, ONES);
  const bits = access.configRead(register, 4);
  access.configWrite(register, 4, before);
  return bits;
}
