import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_LIMITS } from '@ringwire/virtio-spec/net';

/** Two IPv6 addresses and two ports: the longest input. */
const MOST_INPUT = 36;

/**
 * The Toeplitz hash of virtio 1.4 §5.1.9.4.3: for every one bit of the input, the 32 bits of the key from that bit's
 * position on are XORed together. One key's windows are worked out beforehand for every value of every input byte
 * (36 KiB), so a hash is one look-up and one XOR per byte.
 */
export class Toeplitz {
  readonly #windows: Uint32Array = new Uint32Array(MOST_INPUT * 256);

  /** @param key 40 to 255 bytes (rss_max_key_size); the hash of an input of n bytes uses the first n + 4 */
  constructor(key: Uint8Array) {
    const { min, max } = VIRTIO_NET_CONFIG_LIMITS.rss_max_key_size;
    if (key.length < min || key.length > max) {
      throw new VirtioError('key.length', key.length, `${min} to ${max} bytes`, 'virtio 1.4 §5.1.4.1');
    }
    for (let position = 0; position < MOST_INPUT; position++) this.#fill(key, position);
  }

  /**
   * What some bytes of an input add to its hash: the XOR of what all its parts add is the hash.
   * @param at       where the part is in `u8`
   * @param bytes    of the part, a multiple of 4
   * @param position of the part's first byte in the input; position + bytes ≤ 36
   * @returns 32 bits, as a signed number
   */
  part(u8: Uint8Array, at: number, bytes: number, position: number): number {
    const windows = this.#windows;
    const end = at + bytes;
    let row = position << 8;
    let hash = 0;
    for (let from = at; from < end; from += 4) {
      hash ^=
        windows[row | u8[from]!]! ^
        windows[(row + 0x100) | u8[from + 1]!]! ^
        windows[(row + 0x200) | u8[from + 2]!]! ^
        windows[(row + 0x300) | u8[from + 3]!]!;
      row += 0x400;
    }
    return hash;
  }

  #fill(key: Uint8Array, position: number): void {
    const windows = this.#windows;
    const row = position << 8;
    const word = (key[position]! << 24) | (key[position + 1]! << 16) | (key[position + 2]! << 8) | key[position + 3]!;
    const next = key[position + 4] ?? 0;
    for (let bit = 0; bit < 8; bit++) windows[row | (0x80 >>> bit)] = (word << bit) | (next >>> (8 - bit));
    // A value of several bits adds what its lowest one and the others add.
    for (let value = 1; value < 256; value++) {
      const low = value & -value;
      if (value !== low) windows[row | value] = windows[row | low]! ^ windows[row | (value ^ low)]!;
    }
  }
}
