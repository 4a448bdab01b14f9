import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { featureBits, inspectWrites, type ViolationCase, type Write } from './testing/ring-image.js';

const V1 = VIRTIO_F.VERSION_1;
const INDIRECT = featureBits(V1, VIRTIO_F.INDIRECT_DESC);
const IN_ORDER = featureBits(V1, VIRTIO_F.INDIRECT_DESC, VIRTIO_F.IN_ORDER);
const EVENT_IDX = featureBits(V1, VIRTIO_F.EVENT_IDX);

/** One buffer of 64 bytes at 0x4000, published as head 0. */
const ONE: readonly Write[] = [
  [0x1000, '0040000000000000 40000000 0000 0000'],
  [0x2000, '0000 0100 0000'],
];

/** Descriptors are addr, len, flags, next. Rings are flags, idx, entries. The queue has 4. */
const CASES: readonly ViolationCase[] = [
  { rule: 'ring.split.queue-size', what: 'queue_size 3', at: null, bad: ONE, good: ONE, badInput: { size: 3 } },
  {
    rule: 'drv.split.alignment.1',
    what: 'a descriptor table at 0x1008',
    at: 0x1008,
    bad: [],
    good: [],
    badInput: { desc: 0x1008n },
  },
  {
    rule: 'drv.split.alignment.1',
    what: 'an available ring at 0x2001',
    at: 0x2001,
    bad: [],
    good: [],
    badInput: { driver: 0x2001n },
  },
  {
    rule: 'drv.split.alignment.1',
    what: 'a used ring at 0x3002',
    at: 0x3002,
    bad: [],
    good: [],
    badInput: { device: 0x3002n },
  },
  {
    rule: 'ring.split.part-unmapped',
    what: 'a used ring of 38 bytes at 0x8fdc, whose tail is in the hole (SP-37)',
    at: 0x9000,
    bad: [],
    good: [],
    input: { device: 0x8fd8n },
    badInput: { device: 0x8fdcn },
  },
  {
    rule: 'ring.split.part-overlap',
    what: 'an available ring over the last bytes of the table (SP-36)',
    at: 0x103e,
    bad: [],
    good: [],
    input: { driver: 0x1040n },
    badInput: { driver: 0x103en },
  },
  {
    rule: 'drv.split.avail-ring.1',
    what: 'avail.idx one behind the used index (SP-07)',
    at: 0x2002,
    bad: [
      [0x2000, '0000 0700'],
      [0x3000, '0000 0800'],
    ],
    good: [
      [0x2000, '0000 0800'],
      [0x3000, '0000 0800'],
    ],
  },
  {
    rule: 'ring.split.avail-ahead',
    what: 'avail.idx 5 ahead of the device, a queue of 4 (SP-06)',
    at: 0x2002,
    bad: [...ONE, [0x2000, '0000 0500 0000 0100 0200 0300']],
    good: [...ONE, [0x2000, '0000 0400 0000 0100 0200 0300']],
  },
  {
    rule: 'ring.split.avail-ahead',
    what: 'avail.idx 5 ahead of the given position',
    at: 0x2002,
    bad: [
      [0x2000, '0000 0800'],
      [0x3000, '0000 0300'],
    ],
    good: [
      [0x2000, '0000 0700 0000 0100 0200 0300'],
      [0x3000, '0000 0300'],
    ],
    input: { lastAvail: { index: 3 } },
  },
  {
    rule: 'ring.split.head-range',
    what: 'head 4 (SP-04)',
    at: 0x2004,
    bad: [...ONE, [0x2004, '0400']],
    good: [...ONE, [0x2004, '0300']],
  },
  { rule: 'ring.split.head-range', what: 'head 65535 (SP-04)', at: 0x2004, bad: [...ONE, [0x2004, 'ffff']], good: ONE },
  {
    rule: 'ring.split.head-twice',
    what: 'head 0 published twice (SP-09)',
    at: 0x2006,
    bad: [...ONE, [0x2000, '0000 0200 0000 0000']],
    good: [...ONE, [0x2000, '0000 0200 0000 0100']],
  },
  {
    rule: 'ring.split.desc-shared',
    what: 'two chains that share descriptor 2',
    at: 0x1020,
    bad: [
      [0x1000, '0040000000000000 40000000 0100 0200'],
      [0x1010, '0050000000000000 40000000 0100 0200'],
      [0x2000, '0000 0200 0000 0100'],
    ],
    good: [
      [0x1000, '0040000000000000 40000000 0100 0200'],
      [0x1010, '0050000000000000 40000000 0100 0300'],
      [0x2000, '0000 0200 0000 0100'],
    ],
  },
  {
    rule: 'ring.split.desc-shared',
    what: 'a head that an earlier chain goes through',
    at: 0x2006,
    bad: [
      [0x1000, '0040000000000000 40000000 0100 0200'],
      [0x2000, '0000 0200 0000 0200'],
    ],
    good: [
      [0x1000, '0040000000000000 40000000 0100 0200'],
      [0x2000, '0000 0200 0000 0300'],
    ],
  },
  {
    rule: 'ring.split.in-order-head',
    what: 'heads 0 and 2 with IN_ORDER (SP-40)',
    at: 0x2006,
    bad: [...ONE, [0x2000, '0000 0200 0000 0200']],
    good: [...ONE, [0x2000, '0000 0200 0000 0100']],
    input: { features: IN_ORDER },
  },
  {
    rule: 'drv.split.used-notif-suppression.1',
    what: 'avail.flags 2 without EVENT_IDX (SP-34)',
    at: 0x2000,
    bad: [[0x2000, '0200']],
    good: [[0x2000, '0100']],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.split.used-notif-suppression.1',
    what: 'avail.flags 2, whatever was negotiated',
    at: 0x2000,
    bad: [[0x2000, '0200']],
    good: [[0x2000, '0100']],
  },
  {
    rule: 'drv.split.used-notif-suppression.3',
    what: 'avail.flags 1 with EVENT_IDX',
    at: 0x2000,
    bad: [[0x2000, '0100']],
    good: [[0x2000, '0000']],
    input: { features: EVENT_IDX },
  },
  {
    rule: 'ring.split.used-overwritten',
    what: 'used.idx ahead of what the device says it wrote (SP-33)',
    at: 0x3002,
    bad: [
      [0x2000, '0000 0300'],
      [0x3000, '0000 0400'],
    ],
    good: [
      [0x2000, '0000 0300'],
      [0x3000, '0000 0300'],
    ],
    input: { used: { index: 3 }, lastAvail: { index: 3 } },
  },
  {
    rule: 'ring.split.used-ahead',
    what: 'used.idx ahead of all that the device took',
    at: 0x3002,
    bad: [
      [0x2000, '0000 0400'],
      [0x3000, '0000 0400'],
    ],
    good: [
      [0x2000, '0000 0400 0000 0000'],
      [0x3000, '0000 0300'],
    ],
    input: { lastAvail: { index: 3 } },
  },
  {
    rule: 'ring.split.used-id',
    what: 'a used id of 4 that the driver has yet to see',
    at: 0x3004,
    bad: [
      [0x2000, '0000 0100'],
      [0x3000, '0000 0100 04000000 00000000'],
    ],
    good: [
      [0x2000, '0000 0100'],
      [0x3000, '0000 0100 03000000 00000000'],
    ],
    input: { driverUsedIdx: 0 },
  },
  {
    rule: 'dev.split.avail-notif-suppression.1',
    what: 'used.flags 2',
    at: 0x3000,
    bad: [[0x3000, '0200']],
    good: [[0x3000, '0100']],
  },
  {
    rule: 'dev.split.avail-notif-suppression.3',
    what: 'used.flags 1 with EVENT_IDX',
    at: 0x3000,
    bad: [[0x3000, '0100']],
    good: [[0x3000, '0000']],
    input: { features: EVENT_IDX },
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
