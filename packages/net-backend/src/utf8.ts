/**
 * A text as UTF-8, without what a runtime may not have (`TextEncoder` belongs to none of the language's own library).
 * @param most bytes; a text that needs more ends with the last character that fits whole
 */
export function utf8(text: string, most: number): number[] {
  const bytes: number[] = [];
  for (const character of text) {
    const found = character.codePointAt(0)!;
    // Half of a surrogate pair is no character.
    const point = found >= 0xd800 && found < 0xe000 ? 0xfffd : found;
    const before = bytes.length;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x1_0000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    else bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    if (bytes.length > most) return bytes.slice(0, before);
  }
  return bytes;
}
