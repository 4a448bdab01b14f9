import { Worker } from 'node:worker_threads';
import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { firstByteOfOne, requireLittleEndian } from './byte-order.js';
import { HostMemory } from './host-memory.js';

test('this machine passes the byte order check, a big-endian one would not', () => {
  expect(firstByteOfOne()).toBe(1);
  expect(() => requireLittleEndian(1)).not.toThrow();
  expect(() => requireLittleEndian(0)).toThrow('big-endian');
});

test('created memory is shared, zeroed, rounded up to 64 KiB, and all views show the same bytes', () => {
  const memory = HostMemory.create(0x1_0001);
  expect(memory.size).toBe(0x2_0000);
  expect(memory.u8.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(memory.u8.every((byte) => byte === 0)).toBe(true);
  memory.u32[1] = 0x8899_aabb;
  expect([...memory.u8.subarray(4, 8)]).toEqual([0xbb, 0xaa, 0x99, 0x88]);
  expect(memory.u16[3]).toBe(0x8899);
  expect(memory.i32[1]).toBe(0x8899_aabb | 0);
  expect(memory.view.getUint16(5, true)).toBe(0x99aa);
});

test('4 GiB of memory can be made, and its last bytes copied and summed', () => {
  const memory = HostMemory.create(2 ** 32);
  expect(memory.size).toBe(2 ** 32);
  const page = 2 ** 32 - 4096;
  memory.u8.set([1, 2, 3, 4], 2 ** 32 - 4);
  memory.engine.copy(page, 2 ** 32 - 4, 4);
  expect([...memory.u8.subarray(page, page + 4)]).toEqual([1, 2, 3, 4]);
  expect(memory.engine.checksum(2 ** 32 - 4, 4)).toBe(0x0201 + 0x0403);
  // 16 and 64 bytes a turn run up to the very end, where the next offset is 0 again.
  expect(memory.engine.checksum(2 ** 32 - 80, 80)).toBe(0x0201 + 0x0403);
  expect(memory.engine.copyChecksum(page + 256, 2 ** 32 - 128, 128)).toBe(0x0201 + 0x0403);
  expect([...memory.u8.subarray(page + 380, page + 384)]).toEqual([1, 2, 3, 4]);
  expect(() => memory.engine.copy(page, 2 ** 32 - 4, 5)).toThrow(VirtioError);
  expect(() => memory.engine.copy(0, 0, 2 ** 32)).toThrow('length is 4294967296');
});

test('a size that is no size is refused', () => {
  for (const bytes of [0, -1, 1.5, Number.NaN, 2 ** 32 + 1]) {
    expect(() => HostMemory.create(bytes)).toThrow(VirtioError);
  }
});

test('another thread adopts the memory and works on the same bytes', async () => {
  const memory = HostMemory.create(4096);
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     new Uint8Array(workerData.buffer)[7] = 42;`,
    { eval: true, workerData: memory.wasm },
  );
  await new Promise((resolve) => worker.once('exit', resolve));
  const other = HostMemory.adopt(memory.wasm!);
  other.engine.copy(8, 7, 1);
  expect(memory.u8[8]).toBe(42);
});

test('adopted memory that can grow keeps the size it had', () => {
  const wasm = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
  const memory = HostMemory.adopt(wasm);
  wasm.grow(1);
  memory.engine.fill(0xffff, 9, 1);
  expect(memory.u8[0xffff]).toBe(9);
  expect(() => memory.engine.fill(0x1_0000, 9, 1)).toThrow(VirtioError);
});

test('unshared memory is not adopted: growing it would take the views away', () => {
  expect(() => HostMemory.adopt(new WebAssembly.Memory({ initial: 1, maximum: 1 }))).toThrow(VirtioError);
  expect(() => HostMemory.adopt({ buffer: new SharedArrayBuffer(8) })).toThrow(VirtioError);
});

test('wrapped memory starts where it is told to', () => {
  const buffer = new ArrayBuffer(64);
  const memory = HostMemory.wrap(buffer, 16, 21);
  expect([memory.size, memory.u16.length, memory.u32.length]).toEqual([21, 10, 5]);
  expect(memory.wasm).toBeUndefined();
  memory.engine.fill(0, 7, 1);
  expect(new Uint8Array(buffer)[16]).toBe(7);
  expect(HostMemory.wrap(buffer, 16).size).toBe(48);
});

test.each([
  ['byteOffset', 4, 8],
  ['byteOffset', -8, 8],
  ['byteOffset', 64, undefined],
  ['byteOffset', Number.NaN, undefined],
  ['byteLength', 56, 9],
  ['byteLength', 0, 0],
  ['byteLength', 0, 1.5],
])('wrapping refuses a wrong %s (%d, %s)', (field, byteOffset, byteLength) => {
  expect(() => HostMemory.wrap(new ArrayBuffer(64), byteOffset, byteLength)).toThrow(`${field} is `);
});

test('wrapped memory is found again where its owner has it now, and keeps its size', () => {
  const memory = HostMemory.wrap(new ArrayBuffer(64), 16, 21);
  const buffer = new ArrayBuffer(128);
  new Uint8Array(buffer)[33] = 9;
  memory.rewrap(buffer, 32);
  expect([memory.size, memory.u8[1], memory.u16.length, memory.view.getUint8(1)]).toEqual([21, 9, 10, 9]);
  memory.engine.copy(4, 1, 1);
  expect(new Uint8Array(buffer)[36]).toBe(9);
});

test('rewrapping refuses a buffer that is too small, an offset that cannot be, and memory that is not wrapped', () => {
  const memory = HostMemory.wrap(new ArrayBuffer(64));
  expect(() => memory.rewrap(new ArrayBuffer(64), 8)).toThrow(/^buffer is 56, want 64 bytes from 8 on/);
  expect(() => memory.rewrap(new ArrayBuffer(128), 4)).toThrow(/^byteOffset is 4/);
  expect(memory.u8.length).toBe(64);
  expect(() => HostMemory.create(1).rewrap(new ArrayBuffer(0x1_0000))).toThrow(/^memory is /);
});
