import type { AddressSpace, GuestRegion, HostMemory } from '@ringwire/guest-memory';

/** One access that the code under test made to guest memory through a typed array. */
interface Access {
  readonly kind: 'load' | 'store';
  readonly atomic: boolean;
  readonly gpa: number;
  readonly bytes: number;
  /** Stored, or loaded. */
  readonly value: number;
}

export interface MemoryTrace {
  /** The same memory, watched: give it to what is to be traced. */
  readonly space: AddressSpace;
  readonly accesses: Access[];
  /** Accesses that touch `[gpa, gpa + length)`. */
  within(gpa: number, length: number): Access[];
  /** Put `Atomics` back as they were. */
  stop(): void;
}

type View = Uint8Array | Uint16Array | Uint32Array;

/**
 * Watch every load and store that goes through `u8`, `u16` and `u32` of a memory, in program order, `Atomics` included.
 * `Atomics.load` and `Atomics.store` take no proxy: while a trace runs, they are replaced by ones that do.
 */
export function traceMemory(space: AddressSpace, regions: readonly GuestRegion[]): MemoryTrace {
  const accesses: Access[] = [];
  const views = new Map<unknown, View>();
  const note = (kind: 'load' | 'store', atomic: boolean, view: View, index: number, value: number): void => {
    const host = index * view.BYTES_PER_ELEMENT;
    const region = regions.find((one) => host >= one.host && host < one.host + one.size);
    const gpa = region === undefined ? Number.NaN : region.gpa + host - region.host;
    accesses.push({ kind, atomic, gpa, bytes: view.BYTES_PER_ELEMENT, value });
  };
  const watch = <T extends View>(view: T): T => {
    const proxy = new Proxy(view, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value === 'number' && isIndex(key)) note('load', false, target, Number(key), value);
        return typeof value === 'function' ? value.bind(target) : value;
      },
      set(target, key, value: number) {
        if (isIndex(key)) note('store', false, target, Number(key), value);
        return Reflect.set(target, key, value, target);
      },
    });
    views.set(proxy, view);
    return proxy;
  };
  const memory: HostMemory = Object.create(space.memory, {
    u8: { value: watch(space.memory.u8) },
    u16: { value: watch(space.memory.u16) },
    u32: { value: watch(space.memory.u32) },
  });
  const { load, store } = Atomics;
  Object.assign(Atomics, {
    load(array: View, index: number): number {
      const view = views.get(array);
      const value = load(view ?? array, index);
      if (view !== undefined) note('load', true, view, index, value);
      return value;
    },
    store(array: View, index: number, value: number): number {
      const view = views.get(array);
      if (view !== undefined) note('store', true, view, index, value);
      return store(view ?? array, index, value);
    },
  });
  return {
    space: {
      memory,
      enter: () => space.enter(),
      leave: () => space.leave(),
      resolve: (address, length, access) => space.resolve(address, length, access),
      resolveRanges: (address, length, access, ranges) => space.resolveRanges(address, length, access, ranges),
    },
    accesses,
    within: (gpa, length) => accesses.filter((one) => one.gpa < gpa + length && one.gpa + one.bytes > gpa),
    stop: () => {
      Object.assign(Atomics, { load, store });
    },
  };
}

const isIndex = (key: string | symbol): boolean => typeof key === 'string' && /^-?\d/.test(key);
