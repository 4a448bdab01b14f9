import type { PciFunction } from './pci-function.js';

/**
 * Accesses of any length, for hosts that are given bytes: each part that lies in one 4-byte register is an access of its
 * own, lowest first. What an access of 1 to 4 bytes would not reach reads as 0xff and is not written.
 */
export function configReadBytes(pci: PciFunction, offset: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    const size = partSize(offset + done, into.length - done);
    putBytes(into, done, size, pci.configRead(offset + done, size));
    done += size;
  }
}

export function configWriteBytes(pci: PciFunction, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const size = partSize(offset + done, bytes.length - done);
    pci.configWrite(offset + done, size, numberOf(bytes, done, size));
    done += size;
  }
}

export function barReadBytes(pci: PciFunction, bar: number, offset: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    const size = partSize(offset + done, into.length - done);
    putBytes(into, done, size, pci.barRead(bar, offset + done, size));
    done += size;
  }
}

export function barWriteBytes(pci: PciFunction, bar: number, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const size = partSize(offset + done, bytes.length - done);
    pci.barWrite(bar, offset + done, size, numberOf(bytes, done, size));
    done += size;
  }
}

/** Bytes up to the next multiple of 4; 1 where there is none, so that every loop above ends. */
function partSize(at: number, left: number): number {
  const size = 4 - (at % 4);
  return size >= 1 && size <= 4 && Number.isInteger(size) ? Math.min(size, left) : 1;
}

function putBytes(into: Uint8Array, at: number, size: number, value: number): void {
  for (let i = 0; i < size; i++) into[at + i] = value >>> (i * 8);
}

function numberOf(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}
