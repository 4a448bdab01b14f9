import { expect, test } from 'vitest';
import { HostMemory } from './host-memory.js';
import { MemoryModule } from './web-assembly.js';

/** The module `bytes`, behind a module's magic and version. */
const module = (...bytes: number[]): MemoryModule<object> =>
  new MemoryModule(btoa(String.fromCharCode(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...bytes)));

test('a module that the platform does not compile, as vectors where there are none, says what is wanted', () => {
  const { wasm } = HostMemory.create(0x1_0000);
  // Section 99 is none.
  expect(() => module(99, 0).on(wasm!)).toThrow(
    /^this platform is CompileError: .*, want WebAssembly with vectors \(SIMD\): on x86 a processor with SSE 4\.1/,
  );
  expect(module().on(wasm!)).toEqual({});
});
