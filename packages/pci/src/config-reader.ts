/** Little-endian fields of a configuration space of any length. What lies past its end is 0: ask {@link has} first. */
export class ConfigReader {
  readonly size: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.size = bytes.length;
  }

  has(at: number, size: number): boolean {
    return at + size <= this.size;
  }

  u8(at: number): number {
    return this.bytes[at] ?? 0;
  }

  u16(at: number): number {
    return this.u8(at) | (this.u8(at + 1) << 8);
  }

  u32(at: number): number {
    return (this.u16(at) | (this.u16(at + 2) << 16)) >>> 0;
  }

  /** Exact, where a number would not be. */
  u64(at: number): bigint {
    return (BigInt(this.u32(at + 4)) << 32n) | BigInt(this.u32(at));
  }
}
