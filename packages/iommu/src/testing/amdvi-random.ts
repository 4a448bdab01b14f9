import fc from 'fast-check';

/** Tables that random walks go through, by number; table `t` is meant for level `t % 6 + 1`. */
const TABLES = 18;
export const TABLES_AT = 0x2_0000;
/** The only indexes that random addresses have at any level: the rest of a table stays zero. */
export const INDEXES: readonly number[] = [0, 1, 2, 511];
/** Devices with random entries; one more lies past the device table. */
const DEVICES = 4;

const tableAt = (table: number): bigint => BigInt(TABLES_AT + table * 4096);
const rights: fc.Arbitrary<bigint> = oftenBut(12, 3n, fc.constantFrom(0n, 1n, 2n));
/** Bits of `mask`, mostly none. */
const stray = (mask: bigint): fc.Arbitrary<bigint> =>
  oftenBut(
    40,
    0n,
    fc.bigInt(0n, 0xffff_ffff_ffff_ffffn).map((bits) => bits & mask),
  );

/** A quadword of a page table of some level, mostly one that leads on. */
function pageEntry(level: number): fc.Arbitrary<bigint> {
  const lower = fc.integer({ min: 0, max: TABLES - 1 }).map((table) => {
    // Down by one level or more, where the table's own level allows it.
    const target = level === 1 ? table : (table % (level - 1)) + 6 * (table % 3);
    return tableAt(target) | (BigInt((target % 6) + 1) << 9n);
  });
  const any = fc
    .record({ table: fc.nat(TABLES - 1), next: fc.nat(7) })
    .map((e) => tableAt(e.table) | (BigInt(e.next) << 9n));
  const page = fc.bigInt(0n, 0xff_ffffn).map((page) => page << 12n);
  const sized = fc.record({ page: fc.bigInt(0n, 0xff_ffff_ffffn), size: fc.integer({ min: 13, max: 53 }) }).map((e) => {
    const half = 1n << BigInt(e.size - 1);
    return (((e.page << 12n) & ~(2n * half - 1n)) | (half - 0x1000n) | 0xe00n) & 0xf_ffff_ffff_fe00n;
  });
  // A size that fits the level, so that most of them are pages.
  const fitting = fc.record({ page: fc.bigInt(0n, 0xff_ffff_ffffn), more: fc.integer({ min: 1, max: 8 }) }).map((e) => {
    const half = 1n << BigInt(2 + 9 * level + e.more);
    return (((e.page << 12n) & ~(2n * half - 1n)) | (half - 0x1000n) | 0xe00n) & 0xf_ffff_ffff_fe00n;
  });
  const far = fc
    .constantFrom(0x000f_ffff_ffff_f000n, 0x0010_0000n)
    .map((at) => at | (BigInt(Math.max(level - 1, 1)) << 9n));
  const body = fc.oneof(
    { weight: level === 1 ? 1 : 12, arbitrary: lower },
    { weight: level === 1 ? 8 : 2, arbitrary: page },
    { weight: 3, arbitrary: fitting },
    { weight: 1, arbitrary: sized },
    { weight: 1, arbitrary: any },
    { weight: 1, arbitrary: far },
  );
  const bits = fc.record({
    body,
    rights,
    present: oftenBut(20, 1n, fc.constant(0n)),
    stray: stray(0x9ff0_0000_0000_01fen),
  });
  return bits.map((e) => e.body | (e.rights << 61n) | e.present | e.stray);
}

const deviceEntry: fc.Arbitrary<readonly bigint[]> = fc
  .record({
    low: oftenBut(20, 3n, fc.constantFrom(0n, 1n, 2n)),
    mode: fc.integer({ min: 1, max: 6 }),
    odd: oftenBut(12, -1n, fc.constantFrom(0n, 7n)),
    high: fc.nat(2),
    rights,
    stray: stray(0xffff_ffff_ffff_ffffn),
    second: fc.record({ domain: fc.bigInt(0n, 0xffffn), sa: oftenBut(10, 0n, fc.constant(1n)) }),
    interrupts: fc.constantFrom(0n, 1n, 0x1000_0000_0000_0001n, 0x21n, 0x3000_0000_0000_0001n, 0x0010_0000_0000_0001n),
    fourth: stray(0xffff_ffff_ffff_ffffn),
  })
  .map((e) => {
    const mode = e.odd < 0n ? BigInt(e.mode) : e.odd;
    // Without access and dirty flags: the reference writes nothing.
    const had = (e.stray >> 7n) & 3n;
    const strayed = had === 1n || had === 3n ? e.stray & ~0x180n : e.stray;
    const root = tableAt(e.mode - 1 + 6 * e.high) | (mode << 9n) | (e.rights << 61n) | e.low;
    return [root | strayed, e.second.domain | (e.second.sa << 34n), e.interrupts, e.fourth];
  });

/** An address below 2^53 whose index at each level is one of INDEXES; mostly with many of them 0. */
const address: fc.Arbitrary<bigint> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .record({
        indexes: fc.array(oftenBut(2, 0, fc.constantFrom(...INDEXES)), { minLength: 4, maxLength: 4 }),
        fifth: oftenBut(4, 0, fc.constantFrom(1, 2)),
        offset: fc.nat(4095),
      })
      .map((a) =>
        [...a.indexes, a.fifth].reduce(
          (sum, index, level) => sum + (BigInt(index) << BigInt(12 + 9 * level)),
          BigInt(a.offset),
        ),
      ),
  },
  { weight: 1, arbitrary: fc.constantFrom(0xfedf_ffffn, 0xfee0_0000n, 0xfeef_ffffn, 0xfef0_0000n) },
);

export interface RandomMachine {
  /** Quadwords of the page tables, per table in the order of INDEXES. */
  readonly tables: readonly (readonly bigint[])[];
  readonly devices: readonly (readonly bigint[])[];
  readonly requests: readonly { readonly device: number; readonly address: bigint; readonly write: boolean }[];
}

export const randomMachine: fc.Arbitrary<RandomMachine> = fc.record({
  tables: fc.tuple(
    ...Array.from({ length: TABLES }, (_, table) =>
      fc.array(pageEntry((table % 6) + 1), { minLength: INDEXES.length, maxLength: INDEXES.length }),
    ),
  ),
  devices: fc.array(deviceEntry, { minLength: DEVICES, maxLength: DEVICES }),
  requests: fc.array(
    fc.record({
      device: oftenBut(30, 0, fc.constant(128 - DEVICES)).chain((far) => fc.nat(DEVICES - 1).map((near) => near + far)),
      address,
      write: fc.boolean(),
    }),
    { minLength: 20, maxLength: 40 },
  ),
});

/** One value most of the time, `times` to 1. */
function oftenBut<T>(times: number, value: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: times, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: other });
}
