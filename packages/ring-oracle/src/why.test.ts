import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import type { RingInput } from './ring-input.js';
import { featureBits, inspectWrites, type Write } from './testing/ring-image.js';

const EVENT_IDX = featureBits(VIRTIO_F.VERSION_1, VIRTIO_F.EVENT_IDX);
const NO_EVENT_IDX = featureBits(VIRTIO_F.VERSION_1);
const PACKED_EVENT = EVENT_IDX | featureBits(VIRTIO_F.RING_PACKED);

/** Head 0 published at index 0. */
const ONE: readonly Write[] = [
  [0x1000, '0040000000000000 40000000 0000 0000'],
  [0x2000, '0000 0100 0000'],
];
const SLOT: readonly Write[] = [[0x1000, '0040000000000000 40000000 0100 8000']];

const CASES: readonly [
  sentence: string,
  layout: RingInput['layout'],
  writes: readonly Write[],
  more?: Partial<RingInput>,
][] = [
  [
    'The driver has published nothing since 3: avail.idx is 3 and the device has consumed everything.',
    'split',
    [
      [0x2000, '0000 0300'],
      [0x3000, '0000 0300'],
    ],
  ],
  [
    '1 element is pending from available index 0 on: the device has not taken them (or holds them: the position is inferred).',
    'split',
    ONE,
  ],
  [
    '1 element is pending from available index 0 on: the device has not taken them.',
    'split',
    ONE,
    { lastAvail: { index: 0 } },
  ],
  ['The device holds 1 element that it took and has not returned.', 'split', ONE, { lastAvail: { index: 1 } }],
  ['All of the ring is zero: the driver has never used it, or the addresses are not those of the ring.', 'split', []],
  ['All three queue addresses are 0: the queue was never set up.', 'split', [], { desc: 0n, driver: 0n, device: 0n }],
  [
    'The used ring at 0x9000 is not in RAM (nothing at 0x9000): no device can reach it.',
    'split',
    ONE,
    { device: 0x9000n },
  ],
  [
    'The available ring at 0x100000000 was not saved (first missing byte 0x100000000): it is not judged.',
    'split',
    ONE,
    { driver: 0x1_0000_0000n },
  ],
  [
    'queue_desc is 0x1008, no multiple of 16: a device may refuse to enable the queue.',
    'split',
    ONE,
    { desc: 0x1008n },
  ],
  [
    'The queue size 3 is no power of two: driver and device may place element 3 differently.',
    'split',
    ONE,
    { size: 3 },
  ],
  [
    "avail.idx 9 cannot follow the device's position 0 with a queue size of 4: a device takes nothing from here on.",
    'split',
    [[0x2000, '0000 0900']],
  ],
  [
    'The driver suppresses notifications: avail.flags is 1, so it has to look at used.idx by itself.',
    'split',
    [[0x2000, '0100']],
    { features: NO_EVENT_IDX },
  ],
  [
    'The driver suppresses notifications: used_event = 65535 lies behind used.idx 0, so none comes until it moves on.',
    'split',
    [...ONE, [0x200c, 'ffff']],
    { features: EVENT_IDX },
  ],
  [
    'The driver suppresses notifications up to used_event = 2: the next comes with 3 more used elements, and only 1 are outstanding.',
    'split',
    [...ONE, [0x200c, '0200']],
    { features: EVENT_IDX },
  ],
  [
    'The device suppresses kicks: used.flags is 1, so it has to look at avail.idx by itself.',
    'split',
    [[0x3000, '0100']],
    { features: NO_EVENT_IDX },
  ],
  [
    'A kick is due: avail_event is 0, and that entry is published. Without the kick the device may sleep on.',
    'split',
    ONE,
    { features: EVENT_IDX },
  ],
  ['A kick is due: used.flags is 0, so the device relies on one.', 'split', ONE, { features: NO_EVENT_IDX }],
  [
    'The device suppresses kicks up to avail_event = 2: 2 more elements until one is due.',
    'split',
    [...ONE, [0x3024, '0200']],
    { features: EVENT_IDX },
  ],
  [
    'The device suppresses kicks: avail_event = 65535 lies behind its position 0, so it has to look by itself.',
    'split',
    [...ONE, [0x3024, 'ffff']],
    { features: EVENT_IDX },
  ],
  [
    'DRIVER_OK is not set: device status is 0xb, and the device takes no buffer before.',
    'split',
    ONE,
    { deviceStatus: 0x0b },
  ],
  [
    'The device asks for a reset: DEVICE_NEEDS_RESET is set in the device status; it does nothing before.',
    'split',
    ONE,
    { deviceStatus: 0x4f },
  ],
  ['The driver has given up: FAILED is set in the device status.', 'split', ONE, { deviceStatus: 0x8f }],
  ['The queue is not enabled.', 'split', ONE, { queueEnabled: false }],
  [
    'The negotiated features say split ring, and these bytes are read as a packed one.',
    'packed',
    SLOT,
    { features: NO_EVENT_IDX },
  ],
  [
    'A device may drop what is broken, or stop and ask for a reset; first found: ring.split.next-range. The oldest element that cannot be read to its end is 0.',
    'split',
    [...ONE, [0x100c, '0100 0900']],
  ],
  [
    'element 0 (head 0): entry 0 of the indirect table at 0x100000000 was not saved: the rest of the chain is not known.',
    'split',
    [...ONE, [0x1000, '0000000001000000 10000000 0400']],
  ],
  ['The driver has published nothing since slot 0, wrap counter 1: the device has consumed everything.', 'packed', []],
  [
    '1 element is pending from slot 0, wrap counter 1 on: the device has not taken them.',
    'packed',
    SLOT,
    { lastAvail: { index: 0, wrap: 1 } },
  ],
  [
    'The device suppresses kicks: desc_event_flags are 1, so it has to look by itself.',
    'packed',
    [...SLOT, [0x3000, '0000 0100']],
  ],
  [
    'The driver suppresses notifications: desc_event_flags are 1, so it has to look by itself.',
    'packed',
    [...SLOT, [0x2000, '0000 0100']],
  ],
  [
    'A kick is due: it was asked for at slot 0, wrap counter 1, and that slot is published.',
    'packed',
    [...SLOT, [0x3000, '0080 0200']],
    { features: PACKED_EVENT },
  ],
  [
    'The device suppresses kicks: desc_event_off asks for slot 0, wrap counter 0, which is behind, so none comes for a lap.',
    'packed',
    [...SLOT, [0x3000, '0000 0200']],
    { features: PACKED_EVENT },
  ],
  [
    'The driver suppresses notifications up to slot 2, wrap counter 1: 3 more slots until one is due.',
    'packed',
    [...SLOT, [0x2000, '0280 0200']],
    { features: PACKED_EVENT },
  ],
];

for (const [sentence, layout, writes, more] of CASES) {
  test(`${layout}: ${sentence}`, () => {
    expect(inspectWrites(layout, writes, more).why).toContain(sentence);
  });
}

test('a ring with nothing to explain away says so in one sentence', () => {
  const quiet = inspectWrites('split', [
    [0x1000, '01'],
    [0x2000, '0000 0300'],
    [0x3000, '0000 0300'],
  ]);
  expect(quiet.why).toHaveLength(1);
});
