/** IEEE 802.3 §3.2.9: the reflected polynomial. */
const ETHERNET = 0xedb8_8320;
const ethernetTable = /* @__PURE__ */ crcTable(ETHERNET);
/** What a byte adds that is so many bytes away from the end of a step of {@link STEP}, nearest first. */
const STEP = 8;
const stepTables = /* @__PURE__ */ shiftedTables(ethernetTable, STEP);

/**
 * What each byte adds to a CRC of 32 bits whose bits go least significant first:
 * `crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]`.
 * @param polynomial reflected, without its highest term: 0xedb88320 is Ethernet's
 * @returns 256 entries, by byte
 */
export function crcTable(polynomial: number): Uint32Array<ArrayBuffer> {
  const table = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : polynomial);
    table[byte] = crc;
  }
  return table;
}

/** CRC-32 of bytes, as Ethernet and zip have it; a single burst of up to 32 wrong bits never escapes it. */
export function crc32(bytes: Uint8Array): number {
  const t = stepTables;
  const { length } = bytes;
  const whole = length - (length % STEP);
  let crc = -1;
  let at = 0;
  // Eight bytes at once: their tables do not wait for one another.
  for (; at < whole; at += STEP)
    crc =
      t[0x700 + ((crc ^ bytes[at]!) & 0xff)]! ^
      t[0x600 + (((crc >>> 8) ^ bytes[at + 1]!) & 0xff)]! ^
      t[0x500 + (((crc >>> 16) ^ bytes[at + 2]!) & 0xff)]! ^
      t[0x400 + ((crc >>> 24) ^ bytes[at + 3]!)]! ^
      t[0x300 + bytes[at + 4]!]! ^
      t[0x200 + bytes[at + 5]!]! ^
      t[0x100 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  for (; at < length; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!;
  return ~crc >>> 0;
}

/** The table, and behind it what it comes to one, two, … bytes later. */
function shiftedTables(table: Uint32Array, count: number): Int32Array<ArrayBuffer> {
  const all = new Int32Array(count * 256);
  all.set(table);
  for (let at = 256; at < all.length; at++) all[at] = (all[at - 256]! >>> 8) ^ all[all[at - 256]! & 0xff]!;
  return all;
}
