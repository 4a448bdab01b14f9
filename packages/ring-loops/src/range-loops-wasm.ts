// Generated from range-loops.wat by tools/build-wasm.mjs; a test compares the two.

/** range-loops.wat as a WebAssembly module, 130 bytes in base64. */
export const RANGE_LOOPS_WASM: string =
  'AGFzbQEAAAABCQFgBX9/f39/AAITAQRob3N0Bm1lbW9yeQIDAICABAMCAQAHDAEIY29weUVhY2gAAApGAUQAAkADQCADRQ0BIAAo' +
  'AgAgASgCACAEaiACKAIAIARr/AoAACAAQQRqIQAgAUEEaiEBIAJBBGohAiADQQFrIQMMAAsLCw==';
