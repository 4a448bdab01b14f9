import { expect, test } from 'vitest';
import { ACCESS, RESOLVE } from './address-space.js';
import { ForeignSpace } from './foreign-space.js';
import { RangeList } from './range-list.js';

const { READ, WRITE } = ACCESS;
const FAULT = RESOLVE.FAULT;

/** An emulator with 64 KiB of RAM behind 4096 bytes of its own, and a PC's hole in small. */
class Emulator {
  wasm = new WebAssembly.Memory({ initial: 2 });
  readonly base = 4096;
  readonly size = 0x1_0000;
  readonly holes = [{ address: 0xa000, size: 0x2000 }];
  readonly written: [number, number][] = [];
  getBuffer = (): ArrayBuffer | SharedArrayBuffer => this.wasm.buffer;
  onWrite(address: number, length: number): void {
    this.written.push([address, length]);
  }
}

test('a guest-physical address is a host offset, and nothing in a hole or behind the RAM is reached', () => {
  const space = new ForeignSpace(new Emulator());
  expect(space.resolve(0x9fff, 1, WRITE)).toBe(0x9fff);
  expect(space.resolve(0x9fff, 2, WRITE)).toBe(FAULT);
  expect(space.resolve(0xa000, 1, READ)).toBe(FAULT);
  expect(space.resolve(0xc000, 0x4000, READ)).toBe(0xc000);
  for (const address of [0xffff, 0x1_0000, -1, Number.NaN, 2 ** 53]) {
    expect(space.resolve(address, 2, READ)).toBe(FAULT);
    expect(space.resolveRanges(address, 2, READ, new RangeList())).toBe(false);
  }
});

test('memory that grew is found at the beginning of the next burst, which says that host offsets may be void', () => {
  const emulator = new Emulator();
  const space = new ForeignSpace(emulator);
  const before = space.enter();
  space.memory.u8[0x1234] = 7;
  space.leave();
  expect(space.enter()).toBe(before);
  space.leave();
  emulator.wasm.grow(1);
  expect(space.memory.u8.length).toBe(0);
  expect(space.enter()).not.toBe(before);
  expect([space.memory.u8.length, space.memory.u8[0x1234]]).toEqual([0x1_0000, 7]);
  expect(new Uint8Array(emulator.wasm.buffer)[4096 + 0x1234]).toBe(7);
});

test('what may have been written is told of when the burst ends, and not what was read', () => {
  const emulator = new Emulator();
  const space = new ForeignSpace(emulator);
  space.beforeLeave = () => space.note(0x40, 6);
  space.enter();
  space.resolve(0x100, 16, READ);
  space.resolve(0x200, 16, WRITE);
  space.resolve(0x300, 16, READ | WRITE);
  space.resolveRanges(0x400, 16, WRITE, new RangeList());
  space.resolve(0xa000, 16, WRITE);
  expect(emulator.written).toEqual([]);
  space.leave();
  const all = [
    [0x200, 16],
    [0x300, 16],
    [0x400, 16],
    [0x40, 6],
  ];
  expect(emulator.written).toEqual(all);
  space.enter();
  space.leave();
  expect(emulator.written).toEqual([...all, [0x40, 6]]);
});

test('an emulator whose memory is gone leaves every address out of reach, until it is there again', () => {
  const emulator = new Emulator();
  const space = new ForeignSpace(emulator);
  const { buffer } = emulator.wasm;
  emulator.getBuffer = () => new ArrayBuffer(0);
  space.enter();
  expect(space.resolve(0, 1, READ)).toBe(FAULT);
  expect(space.resolveRanges(0, 1, READ, new RangeList())).toBe(false);
  space.leave();
  emulator.getBuffer = () => buffer;
  space.enter();
  expect(space.resolve(0, 1, READ)).toBe(0);
});

test('a mistake of the embedder names what is wrong', () => {
  const emulator = (other: object): Emulator => Object.assign(new Emulator(), other);
  expect(() => new ForeignSpace(emulator({ base: 4 }))).toThrow(/^byteOffset is 4/);
  expect(() => new ForeignSpace(emulator({ size: 0x2_0000 }))).toThrow(/^byteLength is 131072/);
  const wrong = [
    [{ address: 0xffff, size: 2 }],
    [{ address: 0, size: 0 }],
    [
      { address: 0, size: 16 },
      { address: 8, size: 16 },
    ],
  ];
  for (const holes of wrong) expect(() => new ForeignSpace(emulator({ holes }))).toThrow(/^holes is /);
});
