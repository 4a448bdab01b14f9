import type { AddressSpace, HostMemory, RangeList } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { AmdViBench, AT, DEVICE, hex, mappedBench, READ, WRITE } from './testing/amdvi-bench.js';
import { TRANSLATED } from './translation.js';

test('IO-17 (AMD-Vi): a device that was given no page tables is blocked while its entry is valid', () => {
  const bench = new AmdViBench().start();
  bench.device(DEVICE, 0x1n); // V alone, as a kernel leaves unattached devices
  for (const access of [READ, WRITE]) expect(bench.translate(0x3000, access)).toBe(TRANSLATED.FAULT);
  // A device past the end of the table, and one that no bus has
  expect(bench.translate(0x3000, READ, 128)).toBe(TRANSLATED.FAULT);
  expect(bench.event(2)).toEqual(hex`80000000 00000010 0030000000000000`);
  for (const none of [0x1_0000, -1, 2 ** 32 + DEVICE, 0.5, Number.NaN])
    expect(bench.translate(0x3000, READ, none)).toBe(TRANSLATED.FAULT);
});

test('IO-18 (AMD-Vi): a write to a read-only page is blocked, and no byte changes', () => {
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3783n); // with A and D flags
  bench.entry(1, 3, 0x2000_0000_0000_7001n);
  bench.translate(0x3000, READ); // sets A
  const before = bench.bytes(0x2_0000, 0x4000);
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.FAULT);
  expect(bench.bytes(0x2_0000, 0x4000)).toEqual(before);
  expect(bench.event(0)).toEqual(hex`08000000 05007020 0030000000000000`);
});

test('IO-21 (AMD-Vi): a device table outside memory blocks every device; one that ends in it, those past the end', () => {
  const bench = mappedBench();
  bench.unit.write(0x0000, 8, 0x000f_ffff_ffff_f1ffn);
  for (const device of [0, DEVICE, 0xffff]) expect(bench.translate(0x3000, READ, device)).toBe(TRANSLATED.FAULT);
  expect(bench.unit.counters.walks[5]).toBe(3);
  // 8 KiB of entries, the second half of them behind the end of memory
  bench.unit.write(0x0000, 8, 0x000f_f001n);
  expect(bench.translate(0x3000, READ, 127)).toBe(TRANSLATED.PASS_THROUGH);
  expect(bench.translate(0x3000, READ, 128)).toBe(TRANSLATED.FAULT);
});

test('IO-21 (AMD-Vi): page tables outside memory block the device; a root cannot be misaligned', () => {
  const bench = mappedBench();
  for (const root of [0x600f_ffff_ffff_f603n, 0x6000_0000_0010_0603n]) {
    bench.device(DEVICE, root);
    expect(bench.translate(0x3000)).toBe(TRANSLATED.FAULT);
  }
  expect(bench.unit.counters.walks[6]).toBe(2);
});

test('IO-22 (AMD-Vi): an entry that points back to its own table ends the walk at once', () => {
  const bench = mappedBench();
  // Level 3 points to itself: as level 3 again that is no lower level; as level 2 and then 1 the walk ends there.
  bench.entry(3, 0, 0x6000_0000_0002_3601n);
  expect(bench.translate(0x0)).toBe(TRANSLATED.FAULT);
  expect(bench.out.entriesRead).toBe(2);
  expect(bench.event(0)).toEqual(hex`08000000 05001020 0000000000000000`);
  bench.entry(3, 0, 0x6000_0000_0002_3401n);
  expect(bench.translate(0x0)).toBe(TRANSLATED.FAULT);
  expect(bench.out.entriesRead).toBe(3);
  // Six levels and the table itself as every one of them: seven entries at most.
  bench.device(DEVICE, 0x6000_0000_0002_6c03n);
  for (let level = 6; level > 1; level--)
    bench.entry(level, 0, 0x6000_0000_0002_0001n | (BigInt(level - 1) << 12n) | (BigInt(level - 1) << 9n));
  bench.entry(1, 0, 0x6000_0000_0002_1001n); // the level 1 table as a page
  expect(bench.translate(0x0)).toBe(TRANSLATED.OK);
  expect(bench.out).toMatchObject({ physical: 0x2_1000, entriesRead: 7 });
});

test('IO-23 (AMD-Vi): each reserved bit of a valid device table entry is ILLEGAL_DEV_TABLE_ENTRY with RZ', () => {
  const bits = [2, 3, 4, 5, 6, 52, 53, 54, 55, 63, ...from(192, 206), ...from(240, 245)];
  for (const bit of bits) {
    const bench = mappedBench();
    const at = AT.devices + DEVICE * 32 + Math.floor(bit / 64) * 8;
    bench.put64(at, bench.get64(at) | (1n << BigInt(bit % 64)));
    expect(bench.translate(0x3000), `bit ${bit}`).toBe(TRANSLATED.FAULT);
    expect(bench.event(0), `bit ${bit}`).toEqual(hex`08000000 00008010 0030000000000000`);
  }
  // HAD 2 is reserved.
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3703n);
  expect(bench.translate(0x3000)).toBe(TRANSLATED.FAULT);
  // 181:180 belong to interrupts, and count while IV is set.
  for (const bit of [52n, 53n]) {
    const forward = 0x1000_0000_0000_0000n | (1n << bit);
    bench.device(DEVICE, 0x6000_0000_0002_3603n, 5n, forward);
    expect(bench.translate(0xfee0_0000, WRITE)).toBe(TRANSLATED.INTERRUPT);
    bench.device(DEVICE, 0x6000_0000_0002_3603n, 5n, forward | 1n);
    expect(bench.translate(0xfee0_0000, WRITE)).toBe(TRANSLATED.FAULT);
    expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.OK);
  }
});

test('IO-23 (AMD-Vi): reserved bits 60:52 of a directory and 58:52 of a page are IO_PAGE_FAULT with PR and RZ', () => {
  for (const [level, index, last] of [
    [3, 0, 60],
    [2, 0, 60],
    [1, 3, 58],
  ] as const) {
    for (const bit of from(52, 60)) {
      const bench = mappedBench();
      const at = AT.level(level) + index * 8;
      bench.put64(at, bench.get64(at) | (1n << BigInt(bit)));
      const name = `level ${level} bit ${bit}`;
      expect(bench.translate(0x3000), name).toBe(bit <= last ? TRANSLATED.FAULT : TRANSLATED.OK);
      if (bit <= last) expect(bench.event(0), name).toEqual(hex`08000000 05009020 0030000000000000`);
    }
  }
});

test('IO-23 (AMD-Vi): ignored bits 4:1, 8:5 and 63 of entries change nothing', () => {
  const bench = mappedBench();
  bench.entry(3, 0, 0xe000_0000_0002_25ffn);
  bench.entry(2, 0, 0xe000_0000_0002_13ffn);
  bench.entry(1, 3, 0xf800_0000_0000_71ffn); // U and FC too
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out.physical).toBe(0x7000);
});

test('IO-23 (AMD-Vi): a page in level 6, and a NextLevel that is not lower, are IO_PAGE_FAULT with PR, without RZ', () => {
  const bench = mappedBench();
  for (const [level, nextLevel] of [
    [6, 0n],
    [6, 7n],
    [5, 5n],
    [5, 6n],
    [1, 1n],
    [1, 6n],
  ] as const) {
    bench.device(DEVICE, 0x6000_0000_0002_0003n | (BigInt(level) << 12n) | (BigInt(level) << 9n));
    bench.entry(level, 0, 0x6000_0000_0000_0001n | (nextLevel << 9n));
    const slot = bench.logged;
    expect(bench.translate(0), `level ${level} NextLevel ${nextLevel}`).toBe(TRANSLATED.FAULT);
    expect(bench.event(slot)).toEqual(hex`08000000 05001020 0000000000000000`);
  }
});

test('IO-24 (AMD-Vi): a Mode that the unit has no levels for is ILLEGAL_DEV_TABLE_ENTRY without RZ', () => {
  for (const [levels, modes] of [
    [4, [5, 6, 7]],
    [5, [6, 7]],
    [6, [7]],
  ] as const) {
    const bench = mappedBench(new AmdViBench(levels));
    for (const mode of modes) {
      bench.device(DEVICE, 0x6000_0000_0002_3003n | (BigInt(mode) << 9n));
      const slot = bench.logged;
      expect(bench.translate(0x3000), `mode ${mode} of ${levels}`).toBe(TRANSLATED.FAULT);
      expect(bench.event(slot)).toEqual(hex`08000000 00000010 0030000000000000`);
    }
  }
});

/** Memory that counts how often each word is read; single elements only, which is how the walk reads without A and D flags. */
function countingReads(memory: HostMemory, reads: Map<number, number>): HostMemory {
  const u32 = new Proxy(memory.u32, {
    get(target, index): unknown {
      reads.set(Number(index), (reads.get(Number(index)) ?? 0) + 1);
      return Reflect.get(target, index, target);
    },
  });
  const counting: HostMemory = Object.create(memory, { u32: { value: u32 } });
  return counting;
}

/** Software that acts after an address was resolved, which is before its bytes are read. */
class SpiedSpace implements AddressSpace {
  readonly memory: HostMemory;
  private readonly inner: AddressSpace;
  private readonly spy: (address: number) => void;

  constructor(inner: AddressSpace, memory: HostMemory, spy: (address: number) => void) {
    this.inner = inner;
    this.memory = memory;
    this.spy = spy;
  }

  enter(): number {
    return this.inner.enter();
  }

  leave(): void {
    this.inner.leave();
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.inner.resolve(address, length, access);
    this.spy(address);
    return offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    return this.inner.resolveRanges(address, length, access, ranges);
  }
}

test('IO-25 (AMD-Vi): each word of each entry is read at most once per walk', () => {
  const reads = new Map<number, number>();
  const bench = new AmdViBench(6, (inner) => new SpiedSpace(inner, countingReads(inner.memory, reads), () => {}));
  expect(mappedBench(bench).translate(0x3000, WRITE)).toBe(TRANSLATED.OK);
  const words = (address: number, count: number): number[] => from(address / 4, address / 4 + count - 1);
  const walked = [AT.level(1) + 24, AT.level(2), AT.level(3)].flatMap((at) => words(at, 2));
  const expected = [...words(AT.devices + DEVICE * 32, 8), ...walked].map((word) => [word, 1]);
  expect([...reads.entries()].sort(([a], [b]) => a - b)).toEqual(expected);
});

test('IO-25 (AMD-Vi): an entry changed after it was read does not change the walk; the next walk sees it', () => {
  const meddle = (address: number): void => {
    if (address !== AT.level(1) + 24) return;
    bench.entry(2, 0, 0n);
    bench.entry(3, 0, 0n);
    bench.device(DEVICE, 0x1n);
  };
  const bench = new AmdViBench(6, (inner) => new SpiedSpace(inner, inner.memory, meddle));
  mappedBench(bench);
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.OK);
  expect(bench.out.physical).toBe(0x7000);
  expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.FAULT);
});

test('IO-25 (AMD-Vi): D is never set in an entry that was changed or removed since it was read', () => {
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3783n);
  const original = Atomics.compareExchange;
  const entry = (AT.level(1) + 24) / 4;
  let races = 0;
  // The page is taken away between the walk's read of it and its compare-exchange.
  Atomics.compareExchange = ((array: Uint32Array, index: number, expected: number, value: number): number => {
    if (index === entry && races++ === 0) bench.entry(1, 3, 0n);
    return original(array, index, expected, value);
  }) as typeof original;
  try {
    expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.FAULT);
    expect(bench.get64(AT.level(1) + 24)).toBe(0n);
    // One that changes each time: the walk gives up after a fixed number of tries.
    bench.entry(1, 3, 0x6000_0000_0000_7001n);
    races = 0;
    Atomics.compareExchange = ((array: Uint32Array, index: number, expected: number, value: number): number => {
      if (index === entry) bench.entry(1, 3, 0x6000_0000_0000_0001n | BigInt(++races << 12));
      return original(array, index, expected, value);
    }) as typeof original;
    expect(bench.translate(0x3000, WRITE)).toBe(TRANSLATED.FAULT);
    expect(races).toBe(9);
  } finally {
    Atomics.compareExchange = original;
  }
});

function from(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
