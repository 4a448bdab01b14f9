/** IEEE 802.3 §3.2.9: the reflected polynomial. */
const ETHERNET = 0xedb8_8320;
const ethernetTable = /* @__PURE__ */ crcTable(ETHERNET);

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
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ ethernetTable[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}
