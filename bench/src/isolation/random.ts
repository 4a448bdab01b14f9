/** Numbers in no order that are the same every time: xorshift of 32 bits. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed * 0x9e37_79b1) | 1;
  }

  /** @returns an integer from 0 to `end` - 1 @param end at most 2^32 */
  below(end: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return Math.floor(((x >>> 0) / 2 ** 32) * end);
  }
}
