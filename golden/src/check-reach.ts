import type { PendingElement, RingReport } from '@ringwire/ring-oracle';
import type { RingSet } from './load-set.js';
import type { Tally } from './tally.js';

/** The device may do with each part of the ring, and with each buffer in it, what it has to. */
export function checkReach({ memory }: RingSet, name: string, report: RingReport, tally: Tally): void {
  const reach = (what: string, address: string, length: number, access: 'read' | 'write'): void => {
    const found = memory.reach(BigInt(address), length, access);
    if (typeof found === 'string') tally.differ(`${name}: ${what}: ${found}`);
    else tally.reached += found.length;
  };
  for (const { name: part, area, address, bytes } of report.parts) {
    if (area !== 'device') reach(part, address, bytes, 'read');
    if (area === 'device' || part === 'descriptor ring') reach(part, address, bytes, 'write');
  }
  for (const element of report.pending) reachBuffers(element, reach);
}

function reachBuffers(
  { position, indirect, descriptors }: PendingElement,
  reach: (what: string, address: string, length: number, access: 'read' | 'write') => void,
): void {
  if (indirect !== null) reach(`indirect table of ${position}`, indirect.table, indirect.length, 'read');
  for (const { address, length, access } of descriptors) {
    reach(`buffer of ${position}`, address, length, access === 'readable' ? 'read' : 'write');
  }
}
