/** Where typed arrays are made, all zeros. */
export interface ArrayMaker {
  u8(length: number): Uint8Array;
  u16(length: number): Uint16Array;
  u32(length: number): Uint32Array;
  i32(length: number): Int32Array;
  /** Whether an array lies in the memory whose arrays these are: then its `byteOffset` is where. */
  holds(array: ArrayBufferView): boolean;
}

/** JavaScript's own. */
export const PLAIN_ARRAYS: ArrayMaker = {
  u8: (length) => new Uint8Array(length),
  u16: (length) => new Uint16Array(length),
  u32: (length) => new Uint32Array(length),
  i32: (length) => new Int32Array(length),
  holds: () => false,
};

/** Whose memory arrays lie in, or undefined: they are JavaScript's own, some of them at least. */
export function homeOf(maker: ArrayMaker, ...arrays: readonly ArrayBufferView[]): ArrayMaker | undefined {
  return arrays.every((array) => maker.holds(array)) ? maker : undefined;
}
