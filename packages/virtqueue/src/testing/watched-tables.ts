/**
 * Private tables under watch: a typed array drops a store beyond its end and cuts off what does not fit, both in
 * silence. Each array found in the owners' fields, and in the objects there, is replaced by a watched one.
 * @param guestViews views of guest memory, which stay as they are: `Atomics` take no others
 * @returns what went wrong, one line each; filled from now on
 */
export function watchTables(owners: readonly object[], guestViews: readonly unknown[]): string[] {
  const problems: string[] = [];
  const seen = new Set<object>(guestViews.filter((view) => typeof view === 'object' && view !== null));
  const visit = (owner: object): void => {
    for (const [name, value] of Object.entries(owner)) {
      if (typeof value !== 'object' || value === null || seen.has(value)) continue;
      seen.add(value);
      if (ArrayBuffer.isView(value)) Object.assign(owner, { [name]: watched(value, name, problems) });
      else if (PRIVATE_OWNERS.has(name)) visit(value);
    }
  };
  for (const owner of owners) visit(owner);
  return problems;
}

/** Fields that hold further tables: a burst's segments, and a queue's chain with its table ranges. */
const PRIVATE_OWNERS = new Set(['segments', 'chain', 'tableRanges', 'counters']);

function watched(table: ArrayBufferView, name: string, problems: string[]): ArrayBufferView {
  return new Proxy(table, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set(target, key, value: unknown) {
      Reflect.set(target, key, value, target);
      const kept: unknown = Reflect.get(target, key, target);
      // A negative number of 32 bits keeps all of them in an array without signs.
      const sameBits = typeof value === 'number' && target instanceof Uint32Array && kept === value >>> 0 && value < 0;
      if (kept !== value && !sameBits)
        problems.push(`${name}[${String(key)}] = ${String(value)} became ${String(kept)}`);
      return true;
    },
  });
}
