import { readBytes, writeBytes } from './access-parts.js';
import type { PciFunction } from './pci-function.js';

/**
 * Accesses of any length, for hosts that are given bytes: each part that lies in one 4-byte register is an access of its
 * own, lowest first. What an access of 1 to 4 bytes would not reach reads as 0xff and is not written.
 */
export function configReadBytes(pci: PciFunction, offset: number, into: Uint8Array): void {
  readBytes(offset, into, (at, size) => pci.configRead(at, size));
}

/** Write any bytes of configuration space, in accesses that are naturally aligned. */
export function configWriteBytes(pci: PciFunction, offset: number, bytes: Uint8Array): void {
  writeBytes(offset, bytes, (at, size, value) => pci.configWrite(at, size, value));
}

/** Read any bytes of a BAR, in accesses that are naturally aligned. @param offset of the first byte */
export function barReadBytes(pci: PciFunction, bar: number, offset: number, into: Uint8Array): void {
  readBytes(offset, into, (at, size) => pci.barRead(bar, at, size));
}

/** Write any bytes of a BAR, in accesses that are naturally aligned. @param offset of the first byte */
export function barWriteBytes(pci: PciFunction, bar: number, offset: number, bytes: Uint8Array): void {
  writeBytes(offset, bytes, (at, size, value) => pci.barWrite(bar, at, size, value));
}
