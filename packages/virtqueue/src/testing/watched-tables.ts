/** Kinds of typed arrays that tables are made of. */
const TABLES = ['Uint8Array', 'Uint16Array', 'Uint32Array', 'Float64Array'] as const;

/**
 * Private tables under watch: a typed array drops a store beyond its end and cuts off what does not fit, both in
 * silence. Each table that is made meanwhile is a watched one; views of memory that is there already stay as they are,
 * `Atomics` take no others.
 * @param problems filled with what goes wrong from now on, one line each
 */
export function watchNewTables<T>(problems: string[], make: () => T): T {
  const originals = TABLES.map((name) => globalThis[name]);
  for (const name of TABLES) {
    const construct = (target: new (size: number) => ArrayBufferView, args: [unknown]): object => {
      const table: ArrayBufferView = Reflect.construct(target, args);
      return typeof args[0] === 'number' ? watched(table, name, problems) : table;
    };
    Object.assign(globalThis, { [name]: new Proxy(globalThis[name], { construct } as ProxyHandler<never>) });
  }
  try {
    return make();
  } finally {
    TABLES.forEach((name, i) => {
      Object.assign(globalThis, { [name]: originals[i] });
    });
  }
}

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
