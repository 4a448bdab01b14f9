import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { featureBits, inspectWrites, type ViolationCase, type Write } from './testing/ring-image.js';

const PACKED = featureBits(VIRTIO_F.VERSION_1, VIRTIO_F.RING_PACKED);
const INDIRECT = PACKED | featureBits(VIRTIO_F.INDIRECT_DESC);

/** One buffer of 64 bytes at 0x4000, available to wrap counter 1, id 1. */
const ONE: readonly Write[] = [[0x1000, '0040000000000000 40000000 0100 8000']];

/** Slot 0 refers to a table at 0x5000; `len` as four hex bytes. */
const indirect = (len: string): Write[] => [[0x1000, `0050000000000000 ${len} 0100 8400`]];

const AT_START = { lastAvail: { index: 0, wrap: 1 } } as const;

/** Descriptors are addr, len, id, flags: 80 is AVAIL, 00 80 is USED. The queue has 4. Events are desc, flags. */
const CASES: readonly ViolationCase[] = [
  {
    rule: 'drv.packed.alignment.1',
    what: 'a descriptor ring at 0x1008',
    at: 0x1008,
    bad: [],
    good: [],
    badInput: { desc: 0x1008n },
  },
  {
    rule: 'drv.packed.alignment.1',
    what: 'a driver event suppression at 0x2002',
    at: 0x2002,
    bad: [],
    good: [],
    badInput: { driver: 0x2002n },
  },
  {
    rule: 'drv.packed.alignment.1',
    what: 'a device event suppression at 0x3001',
    at: 0x3001,
    bad: [],
    good: [],
    badInput: { device: 0x3001n },
  },
  {
    rule: 'ring.packed.part-unmapped',
    what: 'a driver event suppression in the hole (PK-16)',
    at: 0x9000,
    bad: [],
    good: [],
    input: { driver: 0x8ffcn },
    badInput: { driver: 0x9000n },
  },
  {
    rule: 'ring.packed.part-overlap',
    what: 'both event suppression structures in one place',
    at: 0x2000,
    bad: [],
    good: [],
    input: { device: 0x2004n },
    badInput: { device: 0x2000n },
  },
  {
    rule: 'drv.packed.scatter-gather.2',
    what: 'NEXT set on every slot (PK-01)',
    at: 0x1000,
    bad: list(4, '8100'),
    good: [...list(3, '8100'), [0x1030, '0040000000000000 01000000 0100 8000']],
    input: AT_START,
  },
  {
    rule: 'drv.packed.scatter-gather.3',
    what: 'a readable element after a writable one (PK-17)',
    at: 0x101e,
    bad: [
      [0x1000, '0040000000000000 40000000 0000 8300'],
      [0x1010, '0041000000000000 40000000 0000 8000'],
    ],
    good: [
      [0x1000, '0040000000000000 40000000 0000 8100'],
      [0x1010, '0041000000000000 40000000 0000 8200'],
    ],
  },
  {
    rule: 'drv.packed.scatter-gather.5',
    what: 'a list that runs into slots still in flight',
    at: 0x1010,
    bad: [[0x1010, '0040000000000000 01000000 0300 8000'], ...tail('8100', '8100', '0180')],
    good: [[0x1010, '0040000000000000 01000000 0300 8000'], ...tail('8100', '8100', '0080')],
    input: { used: { index: 1, wrap: 1 }, lastAvail: { index: 2, wrap: 1 } },
  },
  {
    rule: 'drv.packed.scatter-gather.6',
    what: 'a first slot made available before the second (PK-12)',
    at: 0x101e,
    bad: [[0x1000, '0040000000000000 40000000 0000 8100']],
    good: [
      [0x1000, '0040000000000000 40000000 0000 8100'],
      [0x1010, '0041000000000000 40000000 0000 8000'],
    ],
  },
  {
    rule: 'ring.packed.list-bytes',
    what: 'lengths that add up to 2^32 + 1',
    at: 0x1018,
    bad: [
      [0x1000, '0000000001000000 ffffffff 0000 8100'],
      [0x1010, '0000000003000000 02000000 0000 8000'],
    ],
    good: [
      [0x1000, '0000000001000000 ffffffff 0000 8100'],
      [0x1010, '0000000003000000 01000000 0000 8000'],
    ],
  },
  {
    rule: 'ring.packed.id-twice',
    what: 'two outstanding buffers with id 1 (PK-07)',
    at: 0x101c,
    bad: [...ONE, [0x1010, '0041000000000000 40000000 0100 8000']],
    good: [...ONE, [0x1010, '0041000000000000 40000000 0200 8000']],
  },
  {
    rule: 'ring.packed.flags-reserved',
    what: 'flags 0x88',
    at: 0x100e,
    bad: [...ONE, [0x100e, '8800']],
    good: [...ONE, [0x100e, '8200']],
  },
  {
    rule: 'ring.packed.buffer-wrap',
    what: 'an address and length past 2^64 (PK-18)',
    at: 0x1000,
    bad: [...ONE, [0x1000, 'f0ffffffffffffff 11000000']],
    good: ONE,
  },
  {
    rule: 'ring.packed.buffer-unmapped',
    what: 'a buffer that ends in the hole',
    at: 0x1000,
    bad: [...ONE, [0x1000, 'f08f000000000000 11000000']],
    good: [...ONE, [0x1000, 'f08f000000000000 10000000']],
  },
  {
    rule: 'ring.packed.buffer-in-ring',
    what: 'a writable buffer over the ring itself (PK-19)',
    at: 0x1000,
    bad: [...ONE, [0x1000, '3f10000000000000 01000000 0100 8200']],
    good: [...ONE, [0x1000, '4010000000000000 01000000 0100 8200']],
  },
  {
    rule: 'drv.packed.indirect.1',
    what: 'INDIRECT without the feature',
    at: 0x100e,
    bad: indirect('10000000'),
    good: ONE,
    input: { features: PACKED },
  },
  {
    rule: 'drv.packed.indirect.2',
    what: 'NEXT inside an indirect table (PK-04)',
    at: 0x500e,
    bad: [...indirect('20000000'), [0x500e, '0100']],
    good: [...indirect('20000000'), [0x501e, '0200']],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.packed.indirect.2',
    what: 'INDIRECT inside an indirect table (PK-05)',
    at: 0x500e,
    bad: [...indirect('10000000'), [0x500e, '0400']],
    good: [...indirect('10000000'), [0x500e, '0200']],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.packed.indirect.3',
    what: 'an indirect table of 5 entries, a queue of 4',
    at: 0x5000,
    bad: indirect('50000000'),
    good: indirect('40000000'),
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.packed.indirect.4',
    what: 'INDIRECT and NEXT together (PK-02)',
    at: 0x100e,
    bad: [...indirect('10000000'), [0x100e, '8500'], [0x1010, '0041000000000000 40000000 0100 8000']],
    good: [...indirect('10000000'), [0x1010, '0041000000000000 40000000 0200 8000']],
    input: { features: INDIRECT },
  },
  {
    rule: 'drv.packed.indirect.4',
    what: 'INDIRECT at the end of a list',
    at: 0x101e,
    bad: [
      [0x1000, '0040000000000000 40000000 0000 8100'],
      [0x1010, '0050000000000000 10000000 0100 8400'],
    ],
    good: [
      [0x1000, '0040000000000000 40000000 0000 8000'],
      [0x1010, '0050000000000000 10000000 0100 8400'],
    ],
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.packed.indirect-length',
    what: 'an indirect table of 0 bytes (PK-03)',
    at: 0x1008,
    bad: indirect('00000000'),
    good: indirect('10000000'),
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.packed.indirect-length',
    what: 'an indirect table of 17 bytes',
    at: 0x1008,
    bad: indirect('11000000'),
    good: indirect('10000000'),
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.packed.indirect-unmapped',
    what: 'an indirect table that ends in the hole',
    at: 0x1000,
    bad: [[0x1000, 'f08f000000000000 20000000 0100 8400']],
    good: [[0x1000, 'f08f000000000000 10000000 0100 8400']],
    input: { features: INDIRECT },
  },
  {
    rule: 'ring.packed.driver-event-value',
    what: 'desc_event_flags 3 (PK-15)',
    at: 0x2002,
    bad: [[0x2000, '0000 0300']],
    good: [[0x2000, '0000 0200']],
  },
  {
    rule: 'ring.packed.driver-event-reserved',
    what: 'bit 2 of the event flags',
    at: 0x2002,
    bad: [[0x2000, '0000 0400']],
    good: [[0x2000, '0000 0100']],
  },
  {
    rule: 'ring.packed.driver-event-desc',
    what: 'desc_event_flags 2 without EVENT_IDX',
    at: 0x2002,
    bad: [[0x2000, '0000 0200']],
    good: [[0x2000, '0000 0100']],
    input: { features: PACKED },
  },
  {
    rule: 'ring.packed.driver-event-off',
    what: 'desc_event_off 4',
    at: 0x2000,
    bad: [[0x2000, '0480 0200']],
    good: [[0x2000, '0380 0200']],
  },
  {
    rule: 'ring.packed.device-event-value',
    what: 'desc_event_flags 3',
    at: 0x3002,
    bad: [[0x3000, '0000 0300']],
    good: [[0x3000, '0000 0200']],
  },
  {
    rule: 'ring.packed.device-event-reserved',
    what: 'bit 15 of the event flags',
    at: 0x3002,
    bad: [[0x3000, '0000 0080']],
    good: [[0x3000, '0000 0000']],
  },
  {
    rule: 'ring.packed.device-event-desc',
    what: 'desc_event_flags 2 without EVENT_IDX',
    at: 0x3002,
    bad: [[0x3000, '0000 0200']],
    good: [[0x3000, '0000 0100']],
    input: { features: PACKED },
  },
  {
    rule: 'ring.packed.device-event-off',
    what: 'desc_event_off 4',
    at: 0x3000,
    bad: [[0x3000, '0400 0200']],
    good: [[0x3000, '0300 0200']],
  },
];

/** Slots 0 to count - 1 with the same flags, each of one byte. */
function list(count: number, flags: string): Write[] {
  return Array.from({ length: count }, (_, i): Write => [0x1000 + i * 16, `0040000000000000 01000000 0100 ${flags}`]);
}

/** One list over slots 2, 3 and, a lap later, 0. */
function tail(two: string, three: string, zero: string): Write[] {
  return [
    [0x1020, `0040000000000000 01000000 0100 ${two}`],
    [0x1030, `0040000000000000 01000000 0100 ${three}`],
    [0x1000, `0040000000000000 01000000 0100 ${zero}`],
  ];
}

for (const { rule, what, at, bad, good, input, badInput } of CASES) {
  test(`is found, and its clean neighbour is not: ${what}`, () => {
    const { violations } = inspectWrites('packed', bad, { ...input, ...badInput });
    expect(violations).toContainEqual(
      expect.objectContaining({ id: rule, at: at === null ? null : `0x${at.toString(16)}` }),
    );
    expect(inspectWrites('packed', good, input).violations).toEqual([]);
  });
}
