/** Bytes from hexadecimal digits; blanks and line ends between them don't count. */
export function hex(text: TemplateStringsArray | string, ...values: unknown[]): Uint8Array<ArrayBuffer> {
  const digits = typeof text === 'string' ? text : String.raw({ raw: text }, ...values);
  return Uint8Array.from(digits.match(/[0-9a-f]{2}/gi) ?? [], (pair) => Number.parseInt(pair, 16));
}
