import type { TlpHeader } from './error-log.js';

/** PCIe 5.0 §2.2.1, Table 2-3: Fmt and Type in the first byte. WIDE: 4 words, for addresses above 4 GiB. */
const TLP = { MEMORY: 0x00, IO: 0x02, WRITE: 0x40, WIDE: 0x20 } as const;
const WORD = 0x1_0000_0000;

/**
 * The header of a processor's access to one 4-byte register (PCIe 5.0 §2.2.7): 1 word, byte enables, and the address. Its
 * requester is the root complex, 00:00.0.
 */
export function requestHeader(address: number, size: number, isWrite: boolean, io: boolean): TlpHeader {
  const enables = ((1 << size) - 1) << (address % 4);
  const low = (address - (address % 4)) % WORD;
  const high = Math.floor(address / WORD);
  const isWide = high > 0 && !io;
  const kind = (io ? TLP.IO : TLP.MEMORY) | (isWrite ? TLP.WRITE : 0) | (isWide ? TLP.WIDE : 0);
  const first = ((kind << 24) | 1) >>> 0;
  return isWide ? [first, enables, high, low] : [first, enables, low, 0];
}
