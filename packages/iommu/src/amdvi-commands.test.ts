import { expect, test } from 'vitest';
import { AT, hex, mappedBench } from './testing/amdvi-bench.js';

const WAIT_STORE = 0x1000_0000_0000_a001n; // COMPLETION_WAIT, S, address 0xa000

test('AMD IOMMU §2.4.1: COMPLETION_WAIT stores its data after all earlier invalidations returned', () => {
  const bench = mappedBench();
  const seen: bigint[] = [];
  bench.sink.meanwhile = () => seen.push(bench.get64(0xa000));
  bench.command(0x3000_0005_0000_0000n, 0x3000n, 0x2000_0000_0000_0008n, 0n, WAIT_STORE, 0x1122_3344_5566_7788n);
  expect(bench.sink.said).toEqual(['pages 5 0x3000 0xfff', 'requester 8']);
  expect(seen).toEqual([0n, 0n]);
  expect(bench.bytes(0xa000, 8)).toEqual(hex`8877665544332211`);
  expect([bench.unit.read(0x2000, 4), bench.interrupts]).toEqual([0x30, 0]);
});

test('AMD IOMMU §2.4.1: COMPLETION_WAIT with I sets ComWaitInt, after the store', () => {
  const bench = mappedBench();
  let stored = 0n;
  bench.handler = () => {
    stored = bench.get64(0xa000);
  };
  bench.command(0x1000_0000_0000_a003n, 1n);
  expect([bench.interrupts, bench.status & 4, stored]).toEqual([1, 4, 1n]);
  // Neither S nor I: nothing but a command done. F alone likewise.
  bench.put64(0xa000, 0n);
  bench.command(0x1000_0000_0000_a000n, 2n, 0x1000_0000_0000_a004n, 3n);
  expect([bench.interrupts, bench.get64(0xa000), bench.unit.counters.commands]).toEqual([1, 0n, 3]);
});

test('AMD IOMMU §2.4.1: the address is bits 51:3; F next to it changes nothing, all being done in order', () => {
  const bench = mappedBench();
  bench.command(0x1000_0000_0000_a00dn, 0x1122_3344_5566_7788n);
  expect(bench.bytes(0xa000, 24)).toEqual(hex`0000000000000000 8877665544332211 0000000000000000`);
});

test('AMD IOMMU §2.4.1: without ComWaitIntEn the wait sets its bit and sends nothing', () => {
  const bench = mappedBench();
  bench.unit.write(0x0018, 4, 0x100d);
  bench.command(0x1000_0000_0000_0002n, 0n);
  expect([bench.interrupts, bench.status & 4]).toEqual([0, 4]);
});

test('AMD IOMMU §2.4.2: INVALIDATE_DEVTAB_ENTRY names a requester', () => {
  const bench = mappedBench();
  bench.command(0x2000_0000_0000_ffffn, 0n);
  expect(bench.sink.said).toEqual(['requester 65535']);
});

test('AMD IOMMU §2.4.3: INVALIDATE_IOMMU_PAGES: one page, or with S the size that the first zero tells', () => {
  const bench = mappedBench();
  const said = (address: bigint): string => {
    bench.command(0x3000_0005_0000_0000n, address);
    return bench.sink.said.at(-1) ?? '';
  };
  expect(said(0x12_3456_7000n)).toBe('pages 5 0x1234567000 0xfff');
  expect(said(0x12_3456_8001n)).toBe('pages 5 0x1234568000 0x1fff'); // 8 KiB
  expect(said(0x12_3456_7001n)).toBe('pages 5 0x1234560000 0xffff'); // bits 14:12 are ones: 64 KiB
  expect(said(0x000f_f003n)).toBe('pages 5 0x0 0x1fffff'); // PDE too: 2 MiB at 0
  expect(said(0x0007_ffff_ffff_f003n)).toBe('pages 5 0x0 0xfffffffffffff');
  // What drivers send for everything.
  expect(said(0x7fff_ffff_ffff_f003n)).toBe('domain 5');
  // Guest addresses of a PASID: all of the domain, to be safe.
  expect(said(0x0000_3004n)).toBe('domain 5');
});

test('AMD IOMMU §2.4.3: addresses from 2^53 on are nobody’s and need no invalidation', () => {
  const bench = mappedBench();
  bench.command(0x3000_0005_0000_0000n, 0xfff0_0000_0000_3000n, 0x3000_0005_0000_0000n, 0xffff_0000_0000_0001n);
  expect([bench.sink.said, bench.unit.counters.commands]).toEqual([[], 2]);
});

test('AMD IOMMU §2.4.4: INVALIDATE_IOTLB_PAGES voids what the device itself caches', () => {
  const bench = mappedBench();
  bench.command(0x4000_0008_2000_0008n, 0x3001n);
  expect(bench.sink.said).toEqual(['requester 8']);
});

test('AMD IOMMU §2.4.5 and §2.4.8: INVALIDATE_INTERRUPT_TABLE changes no translation, INVALIDATE_IOMMU_ALL all', () => {
  const bench = mappedBench();
  bench.command(0x5000_0000_0000_0008n, 0n);
  expect([bench.sink.said, bench.unit.counters.commands]).toEqual([[], 1]);
  bench.command(0x8000_0000_0000_0000n, 0n);
  expect(bench.sink.said).toEqual(['all']);
});

test('the command buffer wraps from its last entry to its first', () => {
  const bench = mappedBench();
  bench.unit.write(0x0018, 4, 0x000d);
  bench.unit.write(0x2000, 4, 255 * 16);
  bench.unit.write(0x2008, 4, 255 * 16);
  bench.unit.write(0x0018, 4, 0x101d);
  bench.command(0x2000_0000_0000_0001n, 0n, 0x2000_0000_0000_0002n, 0n);
  expect([bench.sink.said, bench.unit.read(0x2000, 4)]).toEqual([['requester 1', 'requester 2'], 0x10]);
});

test('commands that wait while CmdBufEn is clear are carried out when it is set', () => {
  const bench = mappedBench();
  bench.unit.write(0x0018, 4, 0x000d);
  bench.command(0x2000_0000_0000_0001n, 0n);
  expect(bench.sink.said).toEqual([]);
  bench.unit.write(0x0018, 4, 0x100d);
  expect(bench.sink.said).toEqual(['requester 1']);
});

test('software that adds commands from within the wait’s interrupt has them carried out, each once and in order', () => {
  const bench = mappedBench();
  let rounds = 0;
  bench.handler = () => {
    bench.unit.write(0x2020, 4, 0x4);
    if (++rounds < 3) bench.command(0x2000_0000_0000_0000n | BigInt(rounds), 0n, 0x1000_0000_0000_0002n, 0n);
  };
  bench.command(0x1000_0000_0000_0002n, 0n, 0x2000_0000_0000_0009n, 0n);
  expect(bench.sink.said).toEqual(['requester 9', 'requester 1', 'requester 2']);
  expect([rounds, bench.unit.read(0x2000, 4)]).toEqual([3, bench.unit.read(0x2008, 4)]);
});

test('a handler that adds one wait after the other keeps one loop busy, not a growing stack', () => {
  const bench = mappedBench();
  let rounds = 0;
  bench.handler = () => {
    bench.unit.write(0x2020, 4, 0x4);
    if (++rounds < 30_000) bench.command(0x1000_0000_0000_0002n, 0n);
  };
  bench.command(0x1000_0000_0000_0002n, 0n);
  expect([rounds, bench.unit.counters.commands]).toEqual([30_000, 30_000]);
});

test('AMD IOMMU §2.5.6: opcodes and reserved bits that are not of this unit are ILLEGAL_COMMAND_ERROR', () => {
  const illegal: [bigint, bigint][] = [0n, 6n, 7n, 9n, 10n, 11n, 12n, 13n, 14n, 15n].map((code) => [code << 60n, 0n]);
  illegal.push(
    [0x1010_0000_0000_a001n, 0n],
    [0x2000_0000_0001_0008n, 0n],
    [0x2000_0001_0000_0008n, 0n],
    [0x2000_0000_0000_0008n, 1n],
    [0x3001_0005_0000_0000n, 0x3000n],
    [0x3000_0005_0010_0000n, 0x3000n],
    [0x3000_0005_0000_0000n, 0x3008n],
    [0x4000_0008_0000_0008n, 0x3002n],
    [0x5000_0000_0001_0008n, 0n],
    [0x8000_0000_0000_0001n, 0n],
    [0x8000_0000_0000_0000n, 0x8000_0000_0000_0000n],
  );
  for (const [first, second] of illegal) {
    const bench = mappedBench();
    bench.command(0x2000_0000_0000_0001n, 0n, first, second, 0x2000_0000_0000_0002n, 0n);
    const name = `${first.toString(16)} ${second.toString(16)}`;
    expect(bench.sink.said, name).toEqual(['requester 1']);
    // The address of the command, which the head stays on; CmdBufRun is clear.
    expect(bench.event(0), name).toEqual(hex`00000000 00000050 1080000000000000`);
    expect([bench.unit.read(0x2000, 4), bench.status & 0x10], name).toEqual([0x10, 0]);
  }
});

test('IO-27 (AMD-Vi): after an illegal command the registers stay usable; corrected and CmdBufEn written, it goes on', () => {
  const bench = mappedBench();
  bench.command(0n, 0n, 0x2000_0000_0000_0002n, 0n);
  bench.command(0x2000_0000_0000_0003n, 0n);
  expect([bench.sink.said, bench.logged, bench.unit.counters.commandStops]).toEqual([[], 1, 1]);
  bench.put64(AT.commands, 0x2000_0000_0000_0001n);
  bench.unit.write(0x0018, 4, 0x001d);
  bench.unit.write(0x0018, 4, 0x101d);
  expect(bench.sink.said).toEqual(['requester 1', 'requester 2', 'requester 3']);
  expect(bench.status & 0x10).toBe(0x10);
});

test('IO-27 (AMD-Vi): a handler that sets CmdBufEn again at once, with the command corrected, loses nothing', () => {
  const bench = mappedBench();
  bench.handler = () => {
    bench.put64(AT.commands, 0x2000_0000_0000_0001n);
    bench.unit.write(0x0018, 4, 0x101d);
  };
  bench.command(0n, 0n, 0x2000_0000_0000_0002n, 0n);
  expect(bench.sink.said).toEqual(['requester 1', 'requester 2']);
});

test('IO-27 (AMD-Vi): a tail beyond the buffer stops it with COMMAND_HARDWARE_ERROR, without a command carried out', () => {
  const bench = mappedBench();
  bench.put64(AT.commands, 0x2000_0000_0000_0001n);
  bench.unit.write(0x2008, 4, 0x7_fff0);
  expect(bench.sink.said).toEqual([]);
  expect(bench.event(0)).toEqual(hex`00000000 00000062 0080000000000000`);
  expect(bench.status & 0x10).toBe(0);
  bench.unit.write(0x2008, 4, 0x10);
  bench.unit.write(0x0018, 4, 0x101d);
  expect(bench.sink.said).toEqual(['requester 1']);
});

test('IO-27 (AMD-Vi): a buffer outside memory, or of reserved length, executes nothing', () => {
  const bench = mappedBench();
  bench.unit.write(0x0008, 8, 0x0800_0012_3456_7000n);
  bench.unit.write(0x2008, 4, 0x20);
  expect(bench.event(0)).toEqual(hex`00000000 00000062 0070563412000000`);
  expect([bench.status & 0x10, bench.unit.read(0x2000, 4)]).toEqual([0, 0]);
  bench.unit.write(0x0008, 8, 0x0700_0000_0000_8000n);
  bench.unit.write(0x0018, 4, 0x101d);
  bench.command(0x2000_0000_0000_0001n, 0n);
  expect([bench.sink.said, bench.status & 0x10, bench.logged]).toEqual([[], 0, 1]);
});

test('IO-27 (AMD-Vi): one write of the tail carries out at most a whole buffer of commands', () => {
  const bench = mappedBench();
  for (let i = 0; i < 256; i++) bench.put64(AT.commands + i * 16, 0x2000_0000_0000_0000n | BigInt(i));
  bench.unit.write(0x2008, 4, 255 * 16);
  expect([bench.sink.said.length, bench.unit.counters.commands]).toEqual([255, 255]);
  // All bytes zero in a buffer of the largest length: the first one stops it.
  bench.unit.write(0x0008, 8, 0x0f00_0000_0003_0000n);
  bench.unit.write(0x2008, 4, 0x7_fff0);
  expect(bench.unit.counters.commandStops).toBe(1);
});

test('IO-28 (AMD-Vi): a wait whose store address is no memory changes no register and no byte, and completes', () => {
  const bench = mappedBench();
  const before = bench.bytes(0, AT.end);
  const registers = (): string[] =>
    [0x0000, 0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x2010, 0x2018, 0x2020].map((at) =>
      bench.unit.read(at, 8).toString(16),
    );
  const held = registers();
  // 0xfed8_0018: where the registers of a unit may lie; behind the end of memory; the highest address there is.
  const stores = [0x1000_0000_fed8_0019n, 0x1000_0000_0010_0001n, 0x100f_ffff_ffff_fff9n];
  bench.command(...stores.flatMap((store) => [store, 0xffff_ffff_ffff_ffffn]));
  expect(registers()).toEqual(held);
  const after = bench.bytes(0, AT.end);
  after.set(before.subarray(AT.commands, AT.commands + 48), AT.commands);
  expect(after.findIndex((byte, i) => byte !== before[i])).toBe(-1);
  expect([bench.unit.read(0x2000, 4), bench.unit.counters.storesDropped]).toEqual([0x30, 3]);
});

test('IO-29 (AMD-Vi): invalidations of domains and devices that do not exist complete without effect', () => {
  const bench = mappedBench();
  bench.command(
    0x2000_0000_0000_eeeen,
    0n,
    0x3000_dddd_0000_0000n,
    0x3000n,
    0x4000_eeee_0000_eeeen,
    0n,
    WAIT_STORE,
    7n,
  );
  expect([bench.get64(0xa000), bench.logged]).toEqual([7n, 0]);
  expect(bench.translate(0x3000)).toBe(0);
  expect(bench.out).toMatchObject({ physical: 0x7000, domain: 5 });
});
