/** Bytes that record which of them were read. */
export class WatchedBytes {
  /** To be passed as a `Uint8Array`. */
  readonly u8: Uint8Array;
  lowest: number = Number.POSITIVE_INFINITY;
  highest = -1;
  reads = 0;

  constructor(bytes: Uint8Array) {
    this.u8 = new Proxy(bytes, {
      get: (target, key) => {
        const index = Number(key);
        if (!Number.isNaN(index)) {
          this.reads++;
          this.lowest = Math.min(this.lowest, index);
          this.highest = Math.max(this.highest, index);
          return target[index];
        }
        return Reflect.get(target, key);
      },
    });
  }
}
