import { describe, expect, test } from 'vitest';
import { AT, IOVA, legacyBench, REG, SID, VtdBench } from './testing/vtd-bench.js';
import { GLOBAL_IOTLB, QIE, QUEUE, QueueBench, STATUS, wait } from './testing/vtd-queue-bench.js';
import { TRANSLATED } from './translation.js';

describe('VT-d 4.0 §6.5.2: what descriptors announce', () => {
  test.each<[string, bigint, bigint, string[]]>([
    ['context-cache, global', 0x11n, 0n, ['all']],
    ['context-cache, domain 7', 0x7_0021n, 0n, ['domain 7']],
    ['context-cache, device 0018', 0x0018_0007_0031n, 0n, ['requester 18']],
    [
      'context-cache, device 001b without bits 1:0 … FM 2 leaves out 2:1',
      0x0002_0019_0000_0031n,
      0n,
      ['requester 19', 'requester 1b', 'requester 1d', 'requester 1f'],
    ],
    ['IOTLB, global', 0x12n, 0n, ['all']],
    ['IOTLB, domain 7', 0x7_0022n, 0n, ['domain 7']],
    ['IOTLB, domain 7, 2 pages around 0x12345000', 0x7_0032n, 0x1234_5001n, ['pages 7 12344000 1fff']],
    ['IOTLB, domain 7, one page at 2^52, with hint', 0x7_00f2n, 0x10_0000_0000_0040n, ['pages 7 10000000000000 fff']],
    ['IOTLB, a page past 2^53: nothing can be cached there', 0x7_0032n, 0x20_0000_0000_0000n, []],
    ['device TLB of 0018', 0x0018_0000_0003n, 0x1000n, ['requester 18']],
    ['interrupt entries', 0x4n, 0n, []],
  ])('%s', (_, low, high, told) => {
    const bench = new QueueBench();
    bench.submit([low, high]);
    expect(bench.told).toEqual(told);
    expect(bench.fsts).toBe(0);
    expect(bench.unit.read(REG.IQH, 4)).toBe(16);
  });

  test('256-bit descriptors with PASIDs', () => {
    const bench = new VtdBench({ capabilities: { scalable: true, firstStage: true, pasidBits: 20 } });
    bench.unit.write(REG.IQA, 8, BigInt(QUEUE | 0x800));
    bench.unit.write(REG.GCMD, 4, QIE);
    bench.put(QUEUE, 0x3_0007_0026n, 0n, 0n, 0n); // PASID 3 of domain 7
    bench.put(QUEUE + 32, 0x3_0007_0036n, 0x1234_5000n, 0n, 0n);
    bench.put(QUEUE + 64, 0x0007_0007n, 0n, 0n, 0n); // PASID cache, domain
    bench.put(QUEUE + 96, 0x0007_0037n, 0n, 0n, 0n); // PASID cache, global
    bench.put(QUEUE + 128, ...wait(9), 0n, 0n);
    bench.unit.write(REG.IQT, 8, 160n);
    expect(bench.told).toEqual(['domain 7', 'pages 7 12345000 fff', 'domain 7', 'all']);
    expect(bench.quad(STATUS)).toBe(9n);
    expect(bench.unit.read(REG.IQH, 8)).toBe(160n);
  });

  test('under nested translation a page of the second stage voids its domain', () => {
    const bench = new VtdBench({ capabilities: { scalable: true, firstStage: true, nested: true } });
    bench.unit.write(REG.IVA, 8, 0x5000n);
    bench.unit.write(REG.IOTLB, 8, 0xb000_0007_0000_0000n);
    expect(bench.told).toEqual(['domain 7']);
  });

  test('the queue wraps, and one doorbell works off at most one lap', () => {
    const bench = new QueueBench();
    for (let i = 0; i < 255; i++) bench.submit(wait(i + 1));
    expect(bench.status()).toBe(255);
    bench.submit(GLOBAL_IOTLB, wait(1000));
    expect(bench.unit.read(REG.IQH, 4)).toBe(16);
    expect(bench.status()).toBe(1000);
    expect(bench.unit.queue.counters.descriptors).toBe(257);
  });

  test('interrupt entry caches are told which entries', () => {
    const told: string[] = [];
    const bench = new QueueBench({ onInterruptEntries: (first, count) => told.push(`${first}+${count}`) });
    bench.submit([0x4n, 0n], [0x0123_1000_0014n, 0n], [0x0123_0000_0014n, 0n]);
    expect(told).toEqual(['0+65536', '288+4', '291+1']);
  });
});

describe('VT-d 4.0 §6.5.2.8: invalidation wait', () => {
  test('the status is written after the caches have answered', () => {
    const seen: number[] = [];
    const bench = legacyBench();
    bench.put(STATUS, 0n);
    bench.unit.write(REG.IQA, 8, BigInt(QUEUE));
    bench.unit.write(REG.GCMD, 4, 0x8400_0000);
    bench.told.push = (...what: string[]): number => {
      seen.push(Number(bench.quad(STATUS)));
      return Array.prototype.push.apply(bench.told, what);
    };
    bench.put(QUEUE, ...GLOBAL_IOTLB, ...wait(5), 0x5_0022n, 0n, ...wait(6));
    bench.unit.write(REG.IQT, 4, 64);
    expect(seen).toEqual([0, 5]);
    expect(bench.quad(STATUS)).toBe(6n);
  });

  test('IF sets IWC and sends the message once, or when it is unmasked', () => {
    const bench = new QueueBench();
    bench.unit.write(REG.IEDATA, 4, 0x41);
    bench.unit.write(REG.IEADDR, 4, 0xfee0_1000);
    bench.submit([0x15n, 0n]);
    expect(bench.unit.read(REG.ICS, 4)).toBe(1);
    expect(bench.unit.read(REG.IECTL, 4) >>> 30).toBe(3);
    expect(bench.interrupts).toEqual([]);
    bench.unit.write(REG.IECTL, 4, 0);
    expect(bench.interrupts).toEqual([{ low: 0xfee0_1000, high: 0, data: 0x41 }]);
    bench.submit([0x15n, 0n]);
    expect(bench.interrupts).toHaveLength(1);
    bench.unit.write(REG.ICS, 4, 1);
    bench.submit([0x15n, 0n]);
    expect(bench.interrupts).toHaveLength(2);
  });

  test.each([
    ['the unit’s own registers', 0xfed9_0018],
    ['an address that is nothing', 0x7_0000_0000],
    ['an address past 2^53', 2 ** 60],
    ['the interrupt address range', 0xfee0_0000],
  ])('IO-28: a status address in %s: no register changes, the queue goes on', (_, address) => {
    const bench = new QueueBench();
    const before = Array.from(bench.unit.registers.words);
    bench.submit(wait(7, address), wait(8));
    expect(bench.status()).toBe(8);
    expect(bench.unit.queue.counters.statusDropped).toBe(1);
    const after = Array.from(bench.unit.registers.words);
    const changed = after.flatMap((word, at) => (word === before[at] ? [] : [at * 4]));
    expect(changed).toEqual([REG.IQH, REG.IQT]);
  });
});

test('IO-29: a domain or function that does not exist is no error: the wait completes', () => {
  const bench = new QueueBench();
  bench.submit([0xffff_0022n, 0n], [0xffff_0021n, 0n], [0xffff_0000_0031n, 0n], wait(1));
  expect(bench.told).toEqual(['domain 65535', 'domain 65535', 'requester ffff']);
  expect(bench.status()).toBe(1);
  expect(bench.fsts).toBe(0);
});

describe('VT-d 4.0 §6.5.1: invalidation by register', () => {
  test.each<[string, bigint, bigint, string[]]>([
    ['global', 0xa000_0000_0000_0000n, 0x2800_0000_0000_0000n, ['all']],
    ['domain 7', 0xc000_0000_0000_0007n, 0x5000_0000_0000_0007n, ['domain 7']],
    ['device 0018', 0xe000_0000_0018_0007n, 0x7800_0000_0018_0007n, ['requester 18']],
    ['reserved', 0x8000_0000_0000_0000n, 0n, []],
  ])('CCMD: %s', (_, written, read, told) => {
    const bench = new VtdBench();
    bench.unit.write(REG.CCMD, 8, written);
    expect(bench.told).toEqual(told);
    expect(bench.unit.read(REG.CCMD, 8)).toBe(read);
  });

  test('IOTLB_REG: pages come from IVA; granularity done and the cleared IVT say that it is over', () => {
    const bench = new VtdBench();
    bench.unit.write(REG.IVA, 8, 0x4_1234_5002n);
    bench.unit.write(REG.IOTLB, 8, 0xb000_0007_0000_0000n);
    expect(bench.told).toEqual(['pages 7 412344000 3fff']);
    expect(bench.unit.read(REG.IOTLB, 8)).toBe(0x3600_0007_0000_0000n);
    expect(bench.unit.read(REG.IVA, 8)).toBe(0n);
    bench.unit.write(REG.IVA, 8, 19n);
    bench.unit.write(REG.IOTLB, 8, 0xb000_0007_0000_0000n);
    expect(bench.told).toHaveLength(1);
    expect(bench.unit.read(REG.IOTLB, 8)).toBe(0x3000_0007_0000_0000n);
  });

  test('two writes of 4 bytes do the same', () => {
    const bench = new VtdBench();
    bench.unit.write(REG.CCMD, 4, 7);
    expect(bench.told).toEqual([]);
    bench.unit.write(REG.CCMD + 4, 4, 0xc000_0000);
    expect(bench.told).toEqual(['domain 7']);
  });

  test('while the queue is in use it is refused', () => {
    const bench = new QueueBench();
    bench.unit.write(REG.CCMD, 8, 0xa000_0000_0000_0000n);
    expect(bench.told).toEqual([]);
    expect(bench.unit.read(REG.CCMD, 8)).toBe(0x2000_0000_0000_0000n);
  });
});

test('switching translation, or its root table, voids everything', () => {
  const bench = legacyBench();
  bench.unit.write(REG.RTADDR, 8, 0x2_0000n);
  expect(bench.told).toEqual([]);
  expect(bench.translate(SID, IOVA, 1)).toBe(TRANSLATED.OK); // the new root is not taken over yet
  bench.unit.write(REG.GCMD, 4, 0xc000_0000);
  expect(bench.told).toEqual(['all']);
  expect(bench.reasonOf(SID, IOVA, 1)).toBe(1);
  bench.unit.write(REG.GCMD, 4, 0);
  expect(bench.told).toEqual(['all', 'all']);
  expect(bench.unit.read(REG.GSTS, 4)).toBe(0x4000_0000);
  bench.put(AT.root, 0n, 0n);
});
