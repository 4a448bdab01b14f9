/** Most characters of a sentence that are read. */
const CHARACTERS_MAX = 1024;

/** A sentence as the content of a record: UTF-16, little-endian. */
export function textBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(2 * text.length);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < text.length; at++) view.setUint16(2 * at, text.charCodeAt(at), true);
  return bytes;
}

/** A sentence out of foreign bytes: its beginning, without what is no letter, sign or digit. */
export function textIn(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = Math.min(CHARACTERS_MAX, bytes.length >> 1);
  const codes = Array.from({ length }, (_, at) => view.getUint16(2 * at, true));
  return String.fromCharCode(...codes).replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, ' ');
}
