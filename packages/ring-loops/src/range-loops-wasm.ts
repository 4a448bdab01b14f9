// Generated from range-loops.wat by tools/build-wasm.mjs; a test compares the two.

/** range-loops.wat as a WebAssembly module, 149 bytes in base64. */
export const RANGE_LOOPS_WASM: string =
  'AGFzbQEAAAABCwFgBn9/f39/fwF/AhMBBGhvc3QGbWVtb3J5AgMAgIAEAwIBAAcMAQhjb3B5RWFjaAAAClcBVQECfwJAA0AgBiAD' +
  'Tw0BIAIoAgAgBGshByAHIAVLDQEgACgCACABKAIAIARqIAf8CgAAIABBBGohACABQQRqIQEgAkEEaiECIAZBAWohBgwACwsgBgs=';
