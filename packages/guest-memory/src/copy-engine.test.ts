import { VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HostMemory } from './host-memory.js';

const SIZE = 0x1_0000;

/** RFC 1071 §1, one halfword at a time. */
function naiveSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at]! + 256 * (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** Bytes that repeat in no short period. */
function noise(bytes: Uint8Array): void {
  let state = 0x2545_f491;
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
}

const KINDS: [string, (bytes: number) => HostMemory][] = [
  ['WebAssembly', (bytes) => HostMemory.create(bytes)],
  ['JavaScript', (bytes) => HostMemory.wrap(new ArrayBuffer(bytes + 8), 8)],
  ['JavaScript on shared memory', (bytes) => HostMemory.wrap(new SharedArrayBuffer(bytes))],
];

describe.each(KINDS)('%s engine', (_, make) => {
  test('copy moves every length from 0 to 200 at odd offsets, and not a byte more', () => {
    const memory = make(SIZE);
    noise(memory.u8);
    for (let length = 0; length <= 200; length++) {
      const want = memory.u8.slice();
      want.copyWithin(1001 + length, 3, 3 + length);
      memory.engine.copy(1001 + length, 3, length);
      expect(memory.u8.slice(0, 2000)).toEqual(want.slice(0, 2000));
    }
  });

  test('copy, fill, checksum and copyChecksum agree with one byte at a time, overlapping or not', () => {
    const memory = make(SIZE);
    const anyAt = fc.oneof(fc.nat(300), fc.nat(SIZE));
    const anyLength = fc.oneof(fc.nat(140), fc.nat(SIZE));
    fc.assert(
      fc.property(anyAt, anyAt, anyLength, fc.nat(255), (to, from, bytes, value) => {
        const length = Math.min(bytes, SIZE - to, SIZE - from);
        noise(memory.u8);
        const want = memory.u8.slice();
        const sum = naiveSum(want.subarray(from, from + length));
        expect(memory.engine.checksum(from, length)).toBe(sum);
        want.copyWithin(to, from, from + length);
        expect(memory.engine.copyChecksum(to, from, length)).toBe(sum);
        expect(Buffer.compare(memory.u8, want)).toBe(0);
        want.copyWithin(from, to, to + length);
        memory.engine.copy(from, to, length);
        expect(Buffer.compare(memory.u8, want)).toBe(0);
        want.fill(value, to, to + length);
        memory.engine.fill(to, value, length);
        expect(Buffer.compare(memory.u8, want)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('RFC 1071 §3: the example sums to ddf2 in network order', () => {
    const memory = make(SIZE);
    memory.u8.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 5);
    // Loaded little-endian the same sum comes out with its bytes swapped.
    expect(memory.engine.checksum(5, 8)).toBe(0xf2dd);
  });

  test('zeros sum to 0, and anything else that is 0 modulo 65535 to 0xffff', () => {
    const memory = make(SIZE);
    expect(memory.engine.checksum(0, 1000)).toBe(0);
    memory.u8.fill(0xff, 100, 102);
    expect(memory.engine.checksum(0, 1000)).toBe(0xffff);
    memory.u8.set([0x01, 0x00, 0xfe, 0xff], 100);
    expect(memory.engine.checksum(0, 1000)).toBe(0xffff);
  });

  test.each([0x1_fffe, 0x1_ffff, 0x2_0000, 0x2_0001, 0x5_0003])('%d bytes of ff do not overflow a sum', (length) => {
    const memory = make(0xc_0000);
    memory.u8.fill(0xff, 0, length);
    memory.u8[length - 1] = 0x12;
    const want = naiveSum(memory.u8.slice(0, length));
    expect(memory.engine.checksum(0, length)).toBe(want);
    expect(memory.engine.copyChecksum(0x6_0000, 0, length)).toBe(want);
    expect(Buffer.compare(memory.u8.slice(0, length), memory.u8.slice(0x6_0000, 0x6_0000 + length))).toBe(0);
  });

  test('the last byte is in reach, one more is refused and nothing changes', () => {
    const memory = make(SIZE);
    const { engine, size } = memory;
    noise(memory.u8);
    engine.copy(size - 16, 0, 16);
    engine.copy(size, size, 0);
    const before = memory.u8.slice();
    const mistakes: [number, number, number][] = [
      [size - 16, 0, 17],
      [0, size - 16, 17],
      [-1, 0, 1],
      [0, -1, 1],
      [0, 0, -1],
      [0, 0, size + 1],
      [2 ** 32, 0, 1],
      [0, 2 ** 32, 1],
      [0, 0, 2 ** 32],
      [size + 1, 0, 0],
      [Number.NaN, 0, 1],
      [0, Number.NaN, 1],
      [0, 0, Number.NaN],
      [0, 0, 1.5],
      [2 ** 53, 0, 1],
    ];
    for (const [to, from, length] of mistakes) {
      expect(() => engine.copy(to, from, length), `copy ${to} ${from} ${length}`).toThrow(VirtioError);
      expect(() => engine.copyChecksum(to, from, length)).toThrow(VirtioError);
      if (from === 0) expect(() => engine.fill(to, 0, length)).toThrow(VirtioError);
      if (to === 0) expect(() => engine.checksum(from, length)).toThrow(VirtioError);
    }
    expect(memory.u8.slice()).toEqual(before);
    expect(() => engine.copy(0, size - 16, 17)).toThrow(
      `from is ${size - 16}, want 17 bytes from there inside the memory's ${size} (CopyEngine)`,
    );
  });

  test('countRun16 stops at the first halfword that is something else, at the bound, and at the end of memory', () => {
    const { engine, u16, size } = make(SIZE);
    const first = size - 4 * 16 + 14;
    for (let i = 0; i < 4; i++) u16[(first + i * 16) >>> 1] = 0x80 | (i << 8);
    expect(engine.countRun16(first, 16, 4, 0x8080, 0x80)).toBe(4);
    expect(engine.countRun16(first, 16, 3, 0x8080, 0x80)).toBe(3);
    expect(engine.countRun16(first, 16, 0, 0x8080, 0x80)).toBe(0);
    expect(engine.countRun16(first, 16, 4, 0xffff, 0x80)).toBe(1);
    u16[(first + 2 * 16) >>> 1] = 0x8080;
    expect(engine.countRun16(first, 16, 4, 0x8080, 0x80)).toBe(2);
    expect(engine.countRun16(first, 16, 4, 0x8080, 0x8000)).toBe(0);
    expect(() => engine.countRun16(first, 16, 5, 0x8080, 0x80)).toThrow(VirtioError);
  });
});
