import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { featureBits, inspectWrites, type ViolationCase, type Write } from './testing/ring-image.js';

const V1 = VIRTIO_F.VERSION_1;
const PLAIN = featureBits(V1);
const INDIRECT = featureBits(V1, VIRTIO_F.INDIRECT_DESC);
const IN_ORDER = featureBits(V1, VIRTIO_F.INDIRECT_DESC, VIRTIO_F.IN_ORDER);

/** One buffer of 64 bytes at 0x4000, published as head 0. */
const ONE: readonly Write[] = [
  [0x1000, '0040000000000000 40000000 0000 0000'],
  [0x2000, '0000 0100 0000'],
];

/** Head 0 refers to a table at 0x5000; `len` as four hex bytes. */
function indirect(len: string): Write[] {
  return [
    [0x1000, `0050000000000000 ${len} 0400 0000`],
    [0x2000, '0000 0100 0000'],
  ];
}

/** A chain of `count` buffers in the table at 0x5000. */
function table(count: number): Write[] {
  return Array.from({ length: count }, (_, i): Write => {
    const flags = i === count - 1 ? '0000' : '0100';
    return [0x5000 + i * 16, `0040000000000000 01000000 ${flags} 0${i + 1}00`];
  });
}

/** Descriptors are addr, len, flags, next; the queue has 4 at 0x1000. */
const CASES: readonly ViolationCase[] = [
  {
    rule: 'drv.split.framing.1',
    what: 'a readable descriptor after a writable one (SP-20)',
    at: 0x101c,
    bad: [...ONE, [0x1000, '0040000000000000 40000000 0300 0100'], [0x1010, '0050000000000000 40000000 0000 0000']],
    good: [...ONE, [0x1000, '0040000000000000 40000000 0100 0100'], [0x1010, '0050000000000000 40000000 0200 0000']],
  },
  {
    rule: 'drv.split.desc-table.1',
    what: 'a next that leads back to the head (SP-01)',
    at: 0x1000,
    bad: [...ONE, [0x1000, '0040000000000000 40000000 0100 0100'], [0x1010, '0050000000000000 40000000 0100 0000']],
    good: [...ONE, [0x1000, '0040000000000000 40000000 0100 0100'], [0x1010, '0050000000000000 40000000 0000 0000']],
  },
  {
    rule: 'drv.split.desc-table.1',
    what: 'a descriptor whose next is itself',
    at: 0x1000,
    bad: [...ONE, [0x100c, '0100 0000']],
    good: [...ONE, [0x100c, '0000 0000']],
  },
  {
    rule: 'drv.split.desc-table.1',
    what: 'lengths that add up to 2^32 + 1 (SP-17)',
    at: 0x1018,
    bad: [...ONE, [0x1000, '0000000001000000 ffffffff 0100 0100'], [0x1010, '0000000003000000 02000000 0000 0000']],
    good: [...ONE, [0x1000, '0000000001000000 ffffffff 0100 0100'], [0x1010, '0000000003000000 01000000 0000 0000']],
  },
  {
    rule: 'drv.split.desc-table.1',
    what: 'a loop inside an indirect table (SP-28)',
    at: 0x5000,
    bad: [
      ...indirect('20000000'),
      [0x5000, '0040000000000000 40000000 0100 0100'],
      [0x5010, '0041000000000000 40000000 0100 0000'],
    ],
    good: [
      ...indirect('20000000'),
      [0x5000, '0040000000000000 40000000 0100 0100'],
      [0x5010, '0041000000000000 40000000 0000 0000'],
    ],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.split.desc-table.2',
    what: 'next 2 after descriptor 0 with IN_ORDER',
    at: 0x100e,
    bad: [...ONE, [0x100c, '0100 0200']],
    good: [...ONE, [0x100c, '0100 0100']],
    input: { features: IN_ORDER },
  },
  {
    rule: 'drv.split.desc-table.2',
    what: 'next 1 after the last descriptor with IN_ORDER',
    at: 0x103e,
    bad: [
      [0x1030, '0040000000000000 40000000 0100 0100'],
      [0x2000, '0000 0100 0300'],
    ],
    good: [
      [0x1030, '0040000000000000 40000000 0100 0000'],
      [0x2000, '0000 0100 0300'],
    ],
    input: { features: IN_ORDER },
  },
  {
    rule: 'ring.split.next-range',
    what: 'next 4 (SP-02)',
    at: 0x100e,
    bad: [...ONE, [0x100c, '0100 0400']],
    good: [...ONE, [0x100c, '0100 0300']],
  },
  {
    rule: 'ring.split.next-range',
    what: 'next 65535 (SP-02)',
    at: 0x100e,
    bad: [...ONE, [0x100c, '0100 ffff']],
    good: [...ONE, [0x100c, '0000 ffff']],
  },
  {
    rule: 'ring.split.flags-reserved',
    what: 'descriptor flags 8',
    at: 0x100c,
    bad: [...ONE, [0x100c, '0800']],
    good: [...ONE, [0x100c, '0200']],
  },
  {
    rule: 'ring.split.flags-reserved',
    what: 'flags 0x80 inside an indirect table',
    at: 0x500c,
    bad: [...indirect('10000000'), [0x5000, '0040000000000000 40000000 8000 0000']],
    good: [...indirect('10000000'), [0x5000, '0040000000000000 40000000 0200 0000']],
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.split.buffer-wrap',
    what: 'an address and length past 2^64 (SP-15)',
    at: 0x1000,
    bad: [...ONE, [0x1000, 'f0ffffffffffffff 11000000']],
    good: ONE,
  },
  {
    rule: 'ring.split.buffer-unmapped',
    what: 'a buffer just past the end of RAM (SP-11)',
    at: 0x1000,
    bad: [...ONE, [0x1000, '0000010000000000 01000000']],
    good: [...ONE, [0x1000, 'ffff000000000000 01000000']],
  },
  {
    rule: 'ring.split.buffer-unmapped',
    what: 'a buffer that ends in a hole between RAM regions (SP-12, SP-13)',
    at: 0x1000,
    bad: [...ONE, [0x1000, 'f08f000000000000 11000000']],
    good: [...ONE, [0x1000, 'f08f000000000000 10000000']],
  },
  {
    rule: 'ring.split.buffer-unmapped',
    what: 'a length of 0xffffffff (SP-16)',
    at: 0x1000,
    bad: [...ONE, [0x1008, 'ffffffff']],
    good: [...ONE, [0x1008, '00100000']],
  },
  {
    rule: 'ring.split.buffer-in-ring',
    what: 'a writable buffer over the used ring',
    at: 0x1000,
    bad: [...ONE, [0x1000, '2530000000000000 01000000 0200']],
    good: [...ONE, [0x1000, '2630000000000000 01000000 0200']],
  },
  {
    rule: 'drv.split.indirect.1',
    what: 'INDIRECT without the feature (SP-21)',
    at: 0x100c,
    bad: [...indirect('10000000'), [0x5000, '0040000000000000 40000000 0000 0000']],
    good: ONE,
    input: { features: PLAIN },
  },
  {
    rule: 'drv.split.indirect.2',
    what: 'INDIRECT inside an indirect table (SP-23)',
    at: 0x500c,
    bad: [...indirect('10000000'), [0x5000, '0060000000000000 10000000 0400 0000']],
    good: [...indirect('10000000'), [0x5000, '0060000000000000 10000000 0000 0000']],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.split.indirect.3',
    what: 'an indirect table with a chain of 5, a queue of 4 (SP-03)',
    at: 0x5040,
    bad: [...indirect('50000000'), ...table(5)],
    good: [...indirect('50000000'), ...table(4)],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.split.indirect.4',
    what: 'INDIRECT and NEXT together (SP-22)',
    at: 0x100c,
    bad: [...indirect('10000000'), [0x5000, '0040000000000000 40000000 0000 0000'], [0x100c, '0500 0100']],
    good: [...indirect('10000000'), [0x5000, '0040000000000000 40000000 0000 0000']],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.split.indirect.5',
    what: 'an indirect next of 2 after entry 0 with IN_ORDER',
    at: 0x500e,
    bad: [...indirect('30000000'), [0x5000, '0040000000000000 40000000 0100 0200']],
    good: [...indirect('30000000'), [0x5000, '0040000000000000 40000000 0100 0100']],
    input: { features: IN_ORDER },
  },
  {
    rule: 'ring.split.indirect-length',
    what: 'an indirect table of 0 bytes (SP-25)',
    at: 0x1008,
    bad: indirect('00000000'),
    good: indirect('10000000'),
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.split.indirect-length',
    what: 'an indirect table of 24 bytes (SP-24)',
    at: 0x1008,
    bad: indirect('18000000'),
    good: indirect('20000000'),
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.split.indirect-unmapped',
    what: 'an indirect table that ends in the hole (SP-27)',
    at: 0x1000,
    bad: [...ONE, [0x1000, 'f08f000000000000 20000000 0400']],
    good: [...ONE, [0x1000, 'f08f000000000000 10000000 0400']],
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.split.indirect-unmapped',
    what: 'an indirect table of almost 4 GiB (SP-26)',
    at: 0x1000,
    bad: indirect('f0ffffff'),
    good: indirect('10000000'),
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.split.indirect-unmapped',
    what: 'an indirect table that passes 2^64',
    at: 0x1000,
    bad: [...ONE, [0x1000, 'f0ffffffffffffff 20000000 0400']],
    good: indirect('10000000'),
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.split.indirect-next-range',
    what: 'an indirect next past the table (SP-26)',
    at: 0x500e,
    bad: [...indirect('20000000'), [0x5000, '0040000000000000 40000000 0100 0200']],
    good: [...indirect('20000000'), [0x5000, '0040000000000000 40000000 0100 0100']],
    input: { features: INDIRECT },
  },
];

for (const { rule, what, at, bad, good, input, badInput } of CASES) {
  test(`is found, and its clean neighbour is not: ${what}`, () => {
    const { violations } = inspectWrites('split', bad, { ...input, ...badInput });
    expect(violations).toContainEqual(
      expect.objectContaining({ id: rule, at: at === null ? null : `0x${at.toString(16)}` }),
    );
    expect(inspectWrites('split', good, input).violations).toEqual([]);
  });
}
