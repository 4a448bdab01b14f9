/** IEEE 802.3 §3.2.9: the reflected polynomial. */
const POLYNOMIAL = 0xedb8_8320;
const table: Uint32Array = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : POLYNOMIAL);
  table[byte] = crc;
}

/** CRC-32 of bytes, as Ethernet and zip have it. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}
