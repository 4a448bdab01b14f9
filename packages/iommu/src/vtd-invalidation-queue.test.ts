import { describe, expect, test } from 'vitest';
import { REG, SID, VtdBench } from './testing/vtd-bench.js';
import { GLOBAL_IOTLB, QIE, QUEUE, QueueBench, wait } from './testing/vtd-queue-bench.js';
import { TRANSLATED } from './translation.js';
import { DEVICE_TLB } from './vtd-invalidation.js';

describe('IO-27: a bad queue stops with IQE, registers stay usable, clearing it goes on', () => {
  test.each<[string, number, bigint, bigint]>([
    ['type 0', 3, 0x0n, 0n],
    ['type 9', 3, 0x9n, 0n],
    ['type 15', 3, 0xfn, 0n],
    ['PASID IOTLB without scalable mode', 3, 0x26n, 0n],
    ['context-cache with granularity 0', 4, 0x1n, 0n],
    ['context-cache with a reserved bit', 4, (0x8000_0011n << 32n) | 0x11n, 0n],
    ['IOTLB with granularity 0', 4, 0x2n, 0n],
    ['IOTLB with a mask past MAMV', 4, 0x32n, 19n],
    ['IOTLB with a reserved bit', 4, 0x12n, 0x80n],
    ['wait with reserved address bits', 4, 0x25n, 0x9_0002n],
    ['wait with a reserved bit', 4, 0xa5n, 0x9_0000n],
  ])('IO-27: %s', (_, code, low, high) => {
    const bench = new QueueBench();
    bench.unit.write(REG.FECTL, 4, 0);
    bench.submit(wait(1), [low, high], wait(2));
    expect(bench.fsts).toBe(0x10);
    expect(bench.unit.read(REG.IQERCD, 8)).toBe(BigInt(code));
    expect(bench.unit.read(REG.IQH, 4)).toBe(16);
    expect(bench.told).toEqual([]);
    expect(bench.interrupts).toHaveLength(1);
    expect(bench.status()).toBe(1);
    // A doorbell alone does not move it; DMA and registers work on.
    bench.submit(wait(3));
    expect(bench.status()).toBe(1);
    expect(bench.translate(SID, 0x1000, 1)).toBe(TRANSLATED.PASS_THROUGH);
    // Software replaces the descriptor and clears the error.
    bench.put(QUEUE + 16, ...GLOBAL_IOTLB);
    bench.unit.write(REG.FSTS, 4, 0x10);
    expect(bench.fsts).toBe(0);
    expect(bench.told).toEqual(['all']);
    expect(bench.status()).toBe(3);
  });

  test('IO-27: a tail beyond the queue', () => {
    const bench = new QueueBench();
    bench.unit.write(REG.IQT, 4, 0x1000);
    expect(bench.fsts).toBe(0x10);
    expect(bench.unit.read(REG.IQERCD, 4)).toBe(1);
    bench.unit.write(REG.IQT, 4, 0);
    bench.unit.write(REG.FSTS, 4, 0x10);
    bench.submit(wait(4));
    expect(bench.status()).toBe(4);
  });

  test('IO-27: a tail that is no multiple of 256 bits', () => {
    const bench = new VtdBench({ capabilities: { scalable: true } });
    bench.unit.write(REG.IQA, 8, BigInt(QUEUE | 0x800));
    bench.unit.write(REG.GCMD, 4, QIE);
    bench.unit.write(REG.IQT, 4, 16);
    expect(bench.unit.read(REG.FSTS, 4)).toBe(0x10);
    expect(bench.unit.read(REG.IQERCD, 4)).toBe(6);
  });

  test.each([0x8_0000_0000n, 0xfff0_0000_0000_0000n])('IO-27: a queue outside RAM, at %#', (address) => {
    const bench = new QueueBench();
    bench.unit.write(REG.GCMD, 4, 0);
    bench.unit.write(REG.IQA, 8, address);
    bench.unit.write(REG.GCMD, 4, QIE);
    bench.submit(wait(4));
    expect(bench.fsts).toBe(0x10);
    expect(bench.unit.read(REG.IQERCD, 4)).toBe(2);
    bench.unit.write(REG.GCMD, 4, 0);
    bench.unit.write(REG.IQA, 8, BigInt(QUEUE));
    bench.unit.write(REG.IQT, 4, 0);
    bench.unit.write(REG.FSTS, 4, 0x10);
    bench.unit.write(REG.GCMD, 4, QIE);
    bench.tail = 0;
    bench.submit(wait(4));
    expect(bench.status()).toBe(4);
  });

  test('IO-27: the upper half of a 256-bit descriptor is reserved', () => {
    const bench = new VtdBench({ capabilities: { scalable: true } });
    bench.unit.write(REG.IQA, 8, BigInt(QUEUE | 0x800));
    bench.unit.write(REG.GCMD, 4, QIE);
    bench.put(QUEUE, ...GLOBAL_IOTLB, 0n, 1n);
    bench.unit.write(REG.IQT, 4, 32);
    expect(bench.unit.read(REG.IQERCD, 4)).toBe(4);
  });
});

test('a doorbell rung by a cache while it is told is worked off by the same loop', () => {
  const bench = new QueueBench();
  const push = bench.told.push.bind(bench.told);
  bench.told.push = (...what: string[]): number => {
    if (bench.told.length === 0) bench.submit(wait(2));
    return push(...what);
  };
  bench.submit(GLOBAL_IOTLB, wait(1));
  expect(bench.status()).toBe(2);
});

describe('VT-d 4.0 §6.5.2.10, §7.3.1: device TLBs', () => {
  function deviceBench(answers: number[]): { bench: QueueBench; asked: string[] } {
    const asked: string[] = [];
    const bench = new QueueBench({
      deviceTlb: (sourceId, pasid, address, mask) => {
        asked.push(`${sourceId.toString(16)} ${pasid} ${address.toString(16)} ${mask.toString(16)}`);
        return (answers.shift() ?? DEVICE_TLB.DONE) as 0 | 1 | 2;
      },
    });
    return { bench, asked };
  }

  test('the address says the size where S is set', () => {
    const { bench, asked } = deviceBench([]);
    bench.submit(
      [0x0018_0000_0003n, 0x1234_5000n],
      [0x0018_0000_0003n, 0x1234_7001n],
      [0x0018_0000_0003n, 0x7fff_ffff_ffff_f001n],
    );
    expect(asked).toEqual(['18 -1 12345000 fff', '18 -1 12340000 ffff', '18 -1 0 Infinity']);
  });

  test('no answer: the next wait does not complete, ITE stops the queue until it is cleared', () => {
    const { bench } = deviceBench([DEVICE_TLB.TIMEOUT]);
    bench.submit([0x0018_0000_0003n, 0x1000n], wait(1), wait(2));
    expect(bench.fsts).toBe(0x40);
    expect(bench.status()).toBe(0);
    expect(bench.unit.read(REG.IQH, 4)).toBe(32);
    expect(bench.unit.read(REG.IQERCD, 8)).toBe(0x0018_0000_0000n);
    bench.unit.write(REG.FSTS, 4, 0x40);
    expect(bench.status()).toBe(2);
  });

  test('an error in the answer sets ICE and does not stop the queue', () => {
    const { bench } = deviceBench([DEVICE_TLB.ERROR]);
    bench.submit([0x0018_0000_0003n, 0x1000n], wait(1));
    expect(bench.fsts).toBe(0x20);
    expect(bench.status()).toBe(1);
    expect(bench.unit.read(REG.IQERCD, 8)).toBe(0x0018_0000_0000_0000n);
  });
});
