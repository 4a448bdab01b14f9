import { PCAPNG_OPTION } from './pcapng-layout.js';
import { utf8 } from './utf8.js';

/** The most that an option's length can say. */
const MOST_BYTES = 0xffff;

/** Options of a block: each padded to words, and the end mark behind them. No end mark without an option. */
export class PcapngOptions {
  readonly #bytes: number[] = [];

  text(code: number, text: string): void {
    this.bytes(code, utf8(text, MOST_BYTES));
  }

  word(code: number, value: number): void {
    this.bytes(code, [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24]);
  }

  bytes(code: number, value: readonly number[]): void {
    this.#bytes.push(code & 0xff, code >>> 8, value.length & 0xff, value.length >>> 8, ...value);
    while (this.#bytes.length % 4 !== 0) this.#bytes.push(0);
  }

  finish(): Uint8Array {
    if (this.#bytes.length > 0) this.#bytes.push(PCAPNG_OPTION.END, 0, 0, 0);
    return Uint8Array.from(this.#bytes);
  }
}
