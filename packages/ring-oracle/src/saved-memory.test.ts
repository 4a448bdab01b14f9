import { expect, test } from 'vitest';
import { SavedMemory } from './saved-memory.js';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

const memory = new SavedMemory(
  [
    { address: 0x2002n, bytes: bytes(3, 4) },
    { address: 0x2000n, bytes: bytes(1, 2) },
    { address: 0x8000n, bytes: bytes(9) },
  ],
  [
    { address: 0x2000n, size: 0x100n },
    { address: 0x2100n, size: 0x100n },
  ],
);

test('bytes are read across neighbouring pieces, and not at all when one is missing', () => {
  expect(memory.read(0x2001n, 3)).toEqual(bytes(2, 3, 4));
  expect(memory.read(0x2000n, 4)).toEqual(bytes(1, 2, 3, 4));
  expect(memory.read(0x2003n, 2)).toBeNull();
  expect(memory.read(0x1fffn, 2)).toBeNull();
  expect(memory.read(0x9000n, 0)).toEqual(bytes());
});

test('a read is a private copy', () => {
  const piece = bytes(1, 2);
  const copy = new SavedMemory([{ address: 0n, bytes: piece }]).read(0n, 2)!;
  piece[0] = 7;
  expect(copy).toEqual(bytes(1, 2));
});

test('unsaved is what may be RAM, unmapped what is known not to be; both name the first such byte', () => {
  expect(memory.probe(0x2000n, 4n)).toEqual({ state: 'saved' });
  expect(memory.probe(0x2000n, 5n)).toEqual({ state: 'unsaved', at: 0x2004n });
  expect(memory.probe(0x20f0n, 0x20n)).toEqual({ state: 'unsaved', at: 0x20f0n });
  expect(memory.probe(0x2000n, 0x201n)).toEqual({ state: 'unmapped', at: 0x2200n });
  expect(memory.probe(0x8000n, 1n)).toEqual({ state: 'unmapped', at: 0x8000n });
  expect(new SavedMemory([]).probe(0x8000n, 1n)).toEqual({ state: 'unsaved', at: 0x8000n });
});

test('pieces that overlap or pass 2^64 are refused', () => {
  const overlapping = () =>
    new SavedMemory([
      { address: 0n, bytes: bytes(1, 2) },
      { address: 1n, bytes: bytes(3) },
    ]);
  expect(overlapping).toThrow('piece address is 0x1, want 0x2 or above');
  expect(() => new SavedMemory([{ address: (1n << 64n) - 1n, bytes: bytes(1, 2) }])).toThrow('piece end');
});
