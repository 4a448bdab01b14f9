import { ACCESS } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { AT, IOVA, legacyBench, REG, SID, type VtdBench } from './testing/vtd-bench.js';
import { NO_PASID, newTranslation, TRANSLATED } from './translation.js';
import { VtdCaches } from './vtd-caches.js';
import { VtdUnit } from './vtd-unit.js';

const { READ, WRITE } = ACCESS;
const SINK = { all() {}, domain() {}, pages() {}, requester() {} };

/** The same unit once more, as another thread has it. */
function join(bench: VtdBench, messages: number[] = []): VtdUnit {
  return new VtdUnit({
    memory: bench.memory,
    sink: SINK,
    registers: bench.unit.registers.shared,
    onInterrupt: (low, _high, data) => messages.push(low, data),
  });
}

const translate = (unit: VtdUnit, address: number, access: number = READ): number =>
  unit.translate(SID, NO_PASID, address, access, newTranslation());

test('a unit that joins has the capabilities, the width and the tables of the one that was made', () => {
  const bench = legacyBench({ capabilities: { faultRegisters: 7, addressWidths: [48] }, hostAddressWidth: 46 });
  const joined = join(bench);
  expect(joined.capabilities).toEqual(bench.unit.capabilities);
  expect(joined.hostAddressWidth).toBe(46);
  expect(translate(joined, IOVA)).toBe(TRANSLATED.OK);
  expect(joined.read(REG.GSTS, 4)).toBe(0xc000_0000);
});

test('words of another length are no unit’s', () => {
  const bench = legacyBench();
  const { shared } = bench.unit.registers;
  const config = { memory: bench.memory, sink: SINK };
  expect(() => new VtdUnit({ ...config, registers: shared.subarray(0, shared.length - 1) })).toThrow(VirtioError);
});

test('RTADDR alone changes nothing; once SRTP and the invalidation have gone out, the new tables count everywhere', () => {
  const bench = legacyBench();
  const joined = join(bench);
  bench.unit.write(REG.RTADDR, 8, 0x2_0000n);
  joined.follower.all();
  expect(translate(joined, IOVA)).toBe(TRANSLATED.OK);
  bench.unit.write(REG.GCMD, 4, 0xc000_0000);
  // Its burst is still under way: all of that goes by the tables that it began with.
  expect(translate(joined, IOVA)).toBe(TRANSLATED.OK);
  joined.follower.all();
  expect(translate(joined, IOVA)).toBe(TRANSLATED.FAULT);
  expect(bench.takeReason()).toBe(1);
  bench.unit.write(REG.GCMD, 4, 0);
  joined.follower.all();
  expect(translate(joined, IOVA)).toBe(TRANSLATED.PASS_THROUGH);
  expect(joined.translating).toBe(false);
});

test('GSTS changes when the invalidation that tells the other threads has returned', () => {
  const seen: number[] = [];
  const bench = legacyBench();
  bench.told.push = (): number => seen.push(bench.unit.read(REG.GSTS, 4));
  bench.unit.write(REG.GCMD, 4, 0);
  bench.unit.write(REG.GCMD, 4, 0xc000_0000);
  expect(seen.map((status) => (status & 0x8000_0000) >>> 0)).toEqual([0x8000_0000, 0, 0]);
  expect(bench.unit.read(REG.GSTS, 4)).toBe(0xc000_0000);
});

test('faults of two units fill one ring of records, with one event and one overflow', () => {
  const bench = legacyBench({ capabilities: { faultRegisters: 4 } });
  const messages: number[] = [];
  const joined = join(bench, messages);
  bench.unit.write(REG.FEDATA, 4, 0x22);
  bench.unit.write(REG.FEADDR, 4, 0xfee0_1004);
  bench.unit.write(REG.FECTL, 4, 0);
  translate(joined, 0x1000);
  translate(bench.unit, 0x2000, WRITE);
  translate(joined, 0x3000);
  translate(bench.unit, 0x4000);
  translate(joined, 0x5000);
  expect([0, 1, 2, 3].map((i) => bench.unit.read(REG.FRCD + i * 16, 8))).toEqual([0x1000n, 0x2000n, 0x3000n, 0x4000n]);
  expect(joined.read(REG.FSTS, 4)).toBe(3);
  expect(bench.unit.faults.counters).toEqual({ recorded: 4, overflowed: 1, hidden: 0 });
  expect(joined.faults.counters).toEqual(bench.unit.faults.counters);
  // The first fault was the joined unit's.
  expect(messages).toEqual([0xfee0_1004, 0x22]);
  expect(bench.interrupts).toEqual([]);
  for (let i = 0; i < 4; i++) joined.write(REG.FRCD + i * 16 + 12, 4, 0x8000_0000);
  joined.write(REG.FSTS, 4, 1);
  expect(bench.unit.read(REG.FSTS, 4)).toBe(0);
  translate(bench.unit, 0x6000);
  expect(joined.read(REG.FRCD, 8)).toBe(0x6000n);
  expect(bench.interrupts).toHaveLength(1);
});

test('a masked event of one thread’s fault goes out on the thread that unmasks', () => {
  const bench = legacyBench();
  translate(join(bench), 0);
  expect(bench.interrupts).toEqual([]);
  bench.unit.write(REG.FEDATA, 4, 0x33);
  bench.unit.write(REG.FECTL, 4, 0);
  expect(bench.interrupts).toEqual([{ low: 0, high: 0, data: 0x33 }]);
});

test('an interrupt remapping table that one thread sets is used by the other’s next interrupt', () => {
  const bench = legacyBench();
  const joined = join(bench);
  bench.put(0x7000, 0x0000_0000_0041_0001n, 0n);
  bench.unit.write(REG.IRTA, 8, 0x7000n);
  bench.unit.write(REG.GCMD, 4, 0x8100_0000);
  bench.unit.write(REG.GCMD, 4, 0x8200_0000);
  const out = { addressLow: 0, addressHigh: 0, data: 0 };
  expect(joined.remapInterrupt(SID, 0xfee0_0010, 0, out)).toBe(0);
  expect(out.data & 0xff).toBe(0x41);
});

test('a reset, and a dump that is loaded, reach the other threads as other changes do', () => {
  const bench = legacyBench({ version: 0x42 });
  const joined = join(bench);
  joined.reset();
  expect(bench.unit.read(0, 4)).toBe(0x42);
  bench.unit.follower.all();
  expect(translate(bench.unit, IOVA)).toBe(TRANSLATED.PASS_THROUGH);
  bench.unit.load([
    { offset: REG.GSTS, size: 4, value: 0xc000_0000n },
    { offset: REG.RTADDR, size: 8, value: BigInt(AT.root) },
  ]);
  joined.follower.all();
  expect(translate(joined, IOVA)).toBe(TRANSLATED.OK);
});

test('what one thread caches follows what another voids', () => {
  const bench = legacyBench();
  const caches = new VtdCaches();
  const { shared } = bench.unit.registers;
  const joined = new VtdUnit({ memory: bench.memory, sink: SINK, registers: shared, caches });
  expect(translate(joined, IOVA)).toBe(TRANSLATED.OK);
  bench.put(AT.ss2 + 0x11a * 8, 0n);
  expect(translate(joined, IOVA)).toBe(TRANSLATED.OK);
  joined.follower.pages(5, IOVA, 0xfff);
  expect(translate(joined, IOVA)).toBe(TRANSLATED.FAULT);
});
