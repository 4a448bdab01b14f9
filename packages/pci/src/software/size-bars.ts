import { PCI_BAR } from '../config-header.js';
import type { ConfigAccess } from './config-access.js';

/** A base address register as software finds it. */
export interface FoundBar {
  readonly index: number;
  readonly space: 'memory32' | 'memory64' | 'io';
  readonly prefetchable: boolean;
  /** Bytes; of a VF BAR, those of one function. */
  readonly size: number;
  /** Where it was put; 0 before. */
  address: number;
}

const ONES = 0xffff_ffff;
const WORD = 0x1_0000_0000;

/**
 * What registers there are: all ones are written, and the bits that stay 0 are the size. Each is put back. Memory must not
 * be decoded meanwhile.
 * @param first of the registers in configuration space
 */
export function sizeBars(access: ConfigAccess, routingId: number, first: number, count: number): FoundBar[] {
  const found: FoundBar[] = [];
  for (let index = 0; index < count; index++) {
    const low = access.configRead(routingId, first + index * 4, 4);
    const isIo = (low & PCI_BAR.IO_SPACE) !== 0;
    const isWide = !isIo && (low & PCI_BAR.MEMORY_TYPE) === PCI_BAR.MEMORY_TYPE_64 && index + 1 < count;
    const flags = isIo ? PCI_BAR.IO_FLAGS : PCI_BAR.MEMORY_FLAGS;
    const writable = (probe(access, routingId, first + index * 4) & ~flags) >>> 0;
    const high = isWide ? probe(access, routingId, first + index * 4 + 4) : 0;
    const size =
      isWide && (writable !== 0 || high !== 0) ? (~high >>> 0) * WORD + (~writable >>> 0) + 1 : narrow(writable);
    const space = isIo ? 'io' : isWide ? 'memory64' : 'memory32';
    if (size > 0)
      found.push({ index, space, prefetchable: !isIo && (low & PCI_BAR.PREFETCHABLE) !== 0, size, address: 0 });
    if (isWide) index++;
  }
  return found;
}

const narrow = (writable: number): number => (writable === 0 ? 0 : (~writable >>> 0) + 1);

function probe(access: ConfigAccess, routingId: number, register: number): number {
  const before = access.configRead(routingId, register, 4);
  access.configWrite(routingId, register, 4, ONES);
  const bits = access.configRead(routingId, register, 4);
  access.configWrite(routingId, register, 4, before);
  return bits;
}

/** Write an address into a register, or into a pair. */
export function programBar(access: ConfigAccess, routingId: number, first: number, bar: FoundBar): void {
  access.configWrite(routingId, first + bar.index * 4, 4, bar.address % WORD);
  if (bar.space === 'memory64')
    access.configWrite(routingId, first + bar.index * 4 + 4, 4, Math.floor(bar.address / WORD));
}
