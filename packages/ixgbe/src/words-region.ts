import type { BarRegion, PieceSize } from '@ringwire/pci';

/**
 * Registers of 32 bits as a BAR. Narrower reads give their part of a register; narrower writes have no effect: the card
 * wants whole registers. 82599 datasheet §8.1
 * @param read,write take offsets that are multiples of 4; values are 32 bits, unsigned
 */
export function wordsRegion(
  size: number,
  read: (at: number) => number,
  write: (at: number, value: number) => void,
): BarRegion {
  return {
    offset: 0,
    size,
    read: (at, bytes) => partOf(read(at & ~3) >>> 0, at & 3, bytes),
    write: (at, bytes, value) => {
      if (bytes === 4) write(at, value >>> 0);
    },
  };
}

const partOf = (word: number, byte: number, bytes: PieceSize): number =>
  bytes === 4 ? word : (word >>> (8 * byte)) & (bytes === 2 ? 0xffff : 0xff);
