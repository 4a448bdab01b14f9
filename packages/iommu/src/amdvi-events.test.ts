import { expect, test } from 'vitest';
import { AmdViBench, AT, DEVICE, hex, mappedBench, READ, WRITE } from './testing/amdvi-bench.js';
import { TRANSLATED } from './translation.js';

test('AMD IOMMU §2.5.2: ILLEGAL_DEV_TABLE_ENTRY has DeviceID, RW, RZ and the address', () => {
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3643n); // bit 6 is reserved
  bench.translate(0x12_3456_7abc, WRITE);
  expect(bench.event(0)).toEqual(hex`08000000 0000a010 bc7a563412000000`);
});

test('AMD IOMMU §2.5.3: IO_PAGE_FAULT has DeviceID, DomainID, PR, RW, PE and the address', () => {
  const bench = mappedBench();
  bench.device(0x7f, 0x6000_0000_0002_3603n, 0xbeefn);
  bench.entry(1, 3, 0x2000_0000_0000_7001n); // read only
  bench.translate(0x3ff8, WRITE, 0x7f);
  expect(bench.event(0)).toEqual(hex`7f000000 efbe7020 f83f000000000000`);
});

test('AMD IOMMU §2.5.4: DEV_TAB_HARDWARE_ERROR has the entry’s address and type 01b, master abort', () => {
  const bench = mappedBench();
  bench.unit.write(0x0000, 8, 0x0000_0012_3456_7000n);
  bench.translate(0x3000, READ);
  expect(bench.event(0)).toEqual(hex`08000000 00000032 0071563412000000`);
});

test('AMD IOMMU §2.5.5: PAGE_TAB_HARDWARE_ERROR has the domain and the entry’s address', () => {
  const bench = mappedBench();
  bench.entry(2, 0, 0x6000_0001_0000_0201n); // the level 1 table at 4 GiB
  bench.translate(0x3000, WRITE);
  expect(bench.event(0)).toEqual(hex`08000000 05002042 1800000001000000`);
});

test('AMD IOMMU §2.2.2.1: SA keeps every page fault out of the log, and no other event', () => {
  const bench = mappedBench();
  bench.device(DEVICE, 0x6000_0000_0002_3603n, 0x0000_0004_0000_0005n);
  expect(bench.translate(0x9000)).toBe(TRANSLATED.BLOCKED);
  expect(bench.translate(0x9000)).toBe(TRANSLATED.BLOCKED);
  expect([bench.logged, bench.unit.counters.eventsSuppressed]).toEqual([0, 2]);
  bench.entry(2, 0, 0x6000_0001_0000_0201n);
  expect(bench.translate(0x3000)).toBe(TRANSLATED.FAULT);
  expect(bench.logged).toBe(1);
});

test('AMD IOMMU §2.2.2.1: SE logs a device’s first page fault, and again after its entry was invalidated', () => {
  const bench = mappedBench();
  const suppressing = [0x6000_0000_0002_3603n, 0x0000_0002_0000_0005n] as const;
  bench.device(DEVICE, ...suppressing);
  bench.device(9, ...suppressing);
  expect(bench.translate(0x9000)).toBe(TRANSLATED.FAULT);
  expect(bench.translate(0xa000)).toBe(TRANSLATED.BLOCKED);
  expect(bench.translate(0x9000, READ, 9)).toBe(TRANSLATED.FAULT);
  bench.command(0x2000_0000_0000_0008n, 0n); // INVALIDATE_DEVTAB_ENTRY 8
  expect(bench.translate(0xa000)).toBe(TRANSLATED.FAULT);
  expect(bench.translate(0xa000, READ, 9)).toBe(TRANSLATED.BLOCKED);
  bench.command(0x8000_0000_0000_0000n, 0n); // INVALIDATE_IOMMU_ALL
  expect(bench.translate(0xa000, READ, 9)).toBe(TRANSLATED.FAULT);
  expect(bench.logged).toBe(4);
});

test('AMD IOMMU §3.4: EventLogInt is set with each event and interrupts once until it is cleared', () => {
  const bench = mappedBench();
  bench.translate(0x9000);
  bench.translate(0x9000);
  expect([bench.interrupts, bench.status]).toEqual([1, 0x1a]);
  bench.unit.write(0x2020, 4, 0x2);
  expect(bench.status).toBe(0x18);
  bench.translate(0x9000);
  expect(bench.interrupts).toBe(2);
});

test('AMD IOMMU §3.4: without EventIntEn the bit is set alone; enabling it later interrupts then', () => {
  const bench = mappedBench();
  bench.unit.write(0x0018, 4, 0x1005);
  bench.translate(0x9000);
  expect([bench.interrupts, bench.status]).toEqual([0, 0x1a]);
  bench.unit.write(0x0018, 4, 0x100d);
  expect(bench.interrupts).toBe(1);
});

test('a log that is off loses events; translations are blocked all the same', () => {
  const bench = mappedBench();
  bench.unit.write(0x0018, 4, 0x1001);
  expect(bench.translate(0x9000)).toBe(TRANSLATED.FAULT);
  expect([bench.logged, bench.unit.counters.eventsDropped]).toEqual([0, 1]);
  expect(bench.event(0)).toEqual(new Uint8Array(16));
});

test('the log wraps: with the head moved on, the event after the last slot goes to the first', () => {
  const bench = mappedBench();
  bench.unit.write(0x2010, 4, 255 * 16);
  bench.unit.write(0x2018, 4, 255 * 16);
  bench.translate(0x9000);
  expect([bench.logged, bench.event(255)[0]]).toEqual([0, DEVICE]);
  bench.translate(0x9000);
  expect([bench.logged, bench.event(0)[0]]).toEqual([1, DEVICE]);
});

test('IO-30 (AMD-Vi): a full event log sets EventOverflow, overwrites nothing, and resumes when software says so', () => {
  const bench = mappedBench();
  for (let i = 0; i < 255; i++) bench.translate(0x9000 + i);
  expect([bench.logged, bench.status & 1]).toEqual([255, 0]);
  const before = bench.bytes(AT.events, 4096);
  bench.interrupts = 0;
  bench.unit.write(0x2020, 4, 0x2);
  for (let i = 0; i < 1000; i++) expect(bench.translate(0xa000, WRITE)).toBe(TRANSLATED.FAULT);
  expect(bench.bytes(AT.events, 4096)).toEqual(before);
  // EventOverflow; EventLogRun is clear; one interrupt
  expect([bench.status, bench.interrupts, bench.logged]).toEqual([0x11, 1, 255]);
  expect(bench.unit.counters.eventsDropped).toBe(1000);
  // Room alone does not resume, nor EventLogEn while the bit stands, nor clearing the bit; EventLogEn after that does.
  bench.unit.write(0x2010, 4, 255 * 16);
  bench.unit.write(0x0018, 4, 0x101d);
  expect(bench.status).toBe(0x11);
  bench.translate(0xa000);
  bench.unit.write(0x2020, 4, 0x1);
  bench.translate(0xa000);
  expect([bench.logged, bench.status]).toEqual([255, 0x10]);
  bench.unit.write(0x0018, 4, 0x101d);
  bench.translate(0xb000, WRITE);
  expect(bench.logged).toBe(0);
  expect(bench.event(255)).toEqual(hex`08000000 05002020 00b0000000000000`);
});

test('IO-30 (AMD-Vi): a log outside memory, or with pointers past its end, loses events and hits nothing else', () => {
  const bench = mappedBench();
  bench.unit.write(0x0010, 8, 0x0800_0000_0001_0000n + 0x10_0000n); // behind the end of memory
  bench.translate(0x9000);
  expect([bench.unit.counters.eventsDropped, bench.unit.read(0x2018, 4)]).toEqual([1, 0]);
  bench.unit.write(0x0010, 8, 0x0800_0000_0000_9000n);
  const rest = bench.bytes(0xa000, 0x1_0000);
  bench.unit.write(0x2010, 4, 0x7_fff0);
  bench.unit.write(0x2018, 4, 0x4_1230);
  bench.translate(0x9000);
  expect(bench.event(0x23)[0]).toBe(DEVICE);
  expect(bench.unit.read(0x2018, 4)).toBe(0x240);
  expect(bench.bytes(0xa000, 0x1_0000)).toEqual(rest);
});

test('IO-30 (AMD-Vi): a reserved log length stops logging at once', () => {
  const bench = mappedBench();
  bench.unit.write(0x0010, 8, 0x0700_0000_0000_9000n);
  expect(bench.status & 8).toBe(0);
  bench.translate(0x9000);
  expect(bench.event(0)).toEqual(new Uint8Array(16));
  expect(new AmdViBench().status).toBe(0);
});
