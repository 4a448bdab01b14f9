/** What is wrong with a capture file, and where. */
export class PcapError extends Error {
  override readonly name = 'PcapError';
  /** The field, spelled as in the file format's description. */
  readonly field: string;
  /** Byte offset of the field in the file. */
  readonly offset: number;

  constructor(field: string, value: number | string, want: string, offset: number) {
    super(`${field} at offset ${offset} is ${value}, want ${want}`);
    this.field = field;
    this.offset = offset;
  }
}
