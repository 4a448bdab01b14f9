/** Counters that are not zero, under the names of a table of codes. */
export function counted(codes: Readonly<Record<string, number>>, counts: Float64Array): Record<string, number> {
  const occurred = Object.entries(codes).filter(([, code]) => counts[code] !== 0);
  return Object.fromEntries(occurred.map(([name, code]) => [name, counts[code]!]));
}
