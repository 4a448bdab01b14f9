import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import type { RingReport } from './report.js';
import { featureBits, inspectWrites, type Write } from './testing/ring-image.js';

/** Slots by flags and id, each a buffer of one byte at 0x4000: `80` available to 1, `8000` to 0, `8080` used by 1. */
const slots = (...rows: readonly [flags: string, id: string][]): Write[] =>
  rows.map(([flags, id], i) => [0x1000 + i * 16, `0040000000000000 01000000 ${id} ${flags}`]);

const AVAIL1 = '8000';
const AVAIL0 = '0080';
const USED1 = '8080';
const NEXT = '8100';

const places = ({ positions: { driver, used, lastAvail } }: RingReport): unknown =>
  [driver, used, lastAvail].map((place) => place && [place.index, place.wrap, place.known]);

test('virtio 1.4 §2.8.1: a ring of zeros was never used, both sides stand at slot 0 with wrap counter 1', () => {
  expect(places(inspectWrites('packed', []))).toEqual([
    [0, 1, 'certain'],
    [0, 1, 'certain'],
    [0, 1, 'certain'],
  ]);
});

test('virtio 1.4 §2.8.1: AVAIL changes where the driver goes on, the slots before it that look available are pending', () => {
  const report = inspectWrites('packed', slots([USED1, '0100'], [AVAIL1, '0200'], [AVAIL1, '0300']));
  expect(places(report)).toEqual([
    [3, 1, 'certain'],
    [1, 1, 'likely'],
    [1, 1, 'likely'],
  ]);
  expect(report.pending.map(({ position, wrap, id }) => [position, wrap, id])).toEqual([
    [1, 1, 2],
    [2, 1, 3],
  ]);
});

test('a used slot just before the driver leaves nothing outstanding: that is certain', () => {
  expect(places(inspectWrites('packed', slots([USED1, '0100'], [USED1, '0200'], [USED1, '0300'])))).toEqual([
    [3, 1, 'certain'],
    [3, 1, 'certain'],
    [3, 1, 'certain'],
  ]);
});

test('virtio 1.4 §2.8.1: after the last slot the wrap counter changes, pending slots of both laps are found', () => {
  // Slots 2 and 3 belong to the first lap, slot 0 to the second; slot 1 was used in the first.
  const ring = slots([AVAIL0, '0400'], [USED1, '0100'], [AVAIL1, '0200'], [AVAIL1, '0300']);
  const report = inspectWrites('packed', ring);
  expect(report.pending.map(({ position, wrap, id }) => [position, wrap, id])).toEqual([
    [2, 1, 2],
    [3, 1, 3],
    [0, 0, 4],
  ]);
  expect(report.positions.driver).toMatchObject({ index: 1, wrap: 0 });
});

test('virtio 1.4 §2.8.1: a full ring is pending from the driver on, a lap behind it', () => {
  const ring = slots([AVAIL0, '0400'], [AVAIL1, '0100'], [AVAIL1, '0200'], [AVAIL1, '0300']);
  const report = inspectWrites('packed', ring);
  expect(report.positions).toMatchObject({ driver: { index: 1, wrap: 0 }, used: { index: 1, wrap: 1 } });
  expect(report.pending.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
});

test('virtio 1.4 §2.8.6: the rest of a returned list is not pending when its id is outstanding elsewhere', () => {
  // A list of slots 0 and 1 with id 5 was returned at slot 0; id 5 was given out anew at slot 2.
  const ring = slots([USED1, '0500'], [AVAIL1, '0500'], [AVAIL1, '0500']);
  const report = inspectWrites('packed', ring);
  expect(report.positions.used).toMatchObject({ index: 2, wrap: 1, known: 'likely' });
  expect(report.slots).toEqual([
    { from: 0, count: 1, state: 'used' },
    { from: 1, count: 1, state: 'stale' },
    { from: 2, count: 1, state: 'pending' },
    { from: 3, count: 1, state: 'used' },
  ]);
});

test('virtio 1.4 §2.8.8: with IN_ORDER one used descriptor stands for a batch, up to the slot with its id', () => {
  const ring = slots([USED1, '0200'], [AVAIL1, '0100'], [AVAIL1, '0200'], [AVAIL1, '0300']);
  const inOrder = { features: featureBits(VIRTIO_F.RING_PACKED, VIRTIO_F.IN_ORDER) };
  expect(inspectWrites('packed', ring, inOrder).positions.used).toMatchObject({ index: 3, wrap: 1 });
  expect(inspectWrites('packed', ring).positions.used).toMatchObject({ index: 1, wrap: 1 });
});

test('a list over the whole ring that is being published is no certain position: the lap before looks the same', () => {
  // Slot 0 is still as the device left it in the lap before; slots 1 to 3 are written, slot 0 follows last.
  const ring = slots([USED1, '0000'], [NEXT, '0000'], [NEXT, '0000'], [AVAIL1, '0000']);
  expect(inspectWrites('packed', ring).positions.used?.known).toBe('likely');
});

test('AVAIL that changes more than once is no certain position', () => {
  // Slot 1, the first of a list, is not written yet; slot 2 is.
  const ring = slots([USED1, '0100'], ['0000', '0000'], [AVAIL1, '0200']);
  expect(places(inspectWrites('packed', ring))).toEqual([
    [1, 1, 'likely'],
    [1, 1, 'likely'],
    [1, 1, 'likely'],
  ]);
});

test('PK-08: AVAIL and USED set alike is not available', () => {
  const report = inspectWrites('packed', slots([USED1, '0100']), { lastAvail: { index: 0, wrap: 1 } });
  expect(report.pending).toEqual([]);
  expect(report.why).toContain('Slot 0 has flags 0x8080: marked used, so it is not available.');
});

test('PK-09: a slot of the other lap is not available, and the reason is given', () => {
  const report = inspectWrites('packed', slots([AVAIL0, '0100']), { lastAvail: { index: 0, wrap: 1 } });
  expect(report.pending).toEqual([]);
  expect(report.why).toContain(
    "Slot 0 has flags 0x8000: available to wrap counter 0, and the device expects 1: left over from the lap before, or the driver's wrap counter is out of step.",
  );
});

test('PK-13, PK-14: rings of 1 and of 7 slots wrap where they end', () => {
  const one = inspectWrites('packed', slots([AVAIL1, '0300']), { size: 1, lastAvail: { index: 0, wrap: 1 } });
  expect(one.pending.map(({ id }) => id)).toEqual([3]);
  expect(one.positions.driver).toMatchObject({ index: 0, wrap: 0 });
  const flags: [string, string][] = Array.from({ length: 7 }, (_, i) => [i < 2 ? AVAIL0 : AVAIL1, `0${i}00`]);
  const seven = inspectWrites('packed', slots(...flags), { size: 7, lastAvail: { index: 6, wrap: 1 } });
  expect(seven.pending.map(({ position, wrap }) => [position, wrap])).toEqual([
    [6, 1],
    [0, 0],
    [1, 0],
  ]);
});

test('PK-06: an id above the queue size is legal and remarked on', () => {
  const report = inspectWrites('packed', slots([AVAIL1, 'ffff']));
  expect(report.pending.map(({ id }) => id)).toEqual([65535]);
  expect(report.violations).toEqual([]);
  expect(report.remarks.map(({ id }) => id)).toEqual(['ring.packed.id-range']);
});

test('PK-03, PK-20: zero lengths and WRITE on an indirect descriptor are remarks, no violations', () => {
  const zero = inspectWrites('packed', [[0x1000, '0040000000000000 00000000 0100 8000']]);
  expect(zero).toMatchObject({ violations: [], remarks: [{ id: 'ring.packed.zero-length', at: '0x1008' }] });
  const table: Write[] = [
    [0x1000, '0050000000000000 10000000 0100 8600'],
    [0x5000, '0040000000000000 40000000 0000 0000'],
  ];
  const write = inspectWrites('packed', table);
  expect(write).toMatchObject({ violations: [], remarks: [{ id: 'ring.packed.indirect-write', at: '0x100e' }] });
  expect(write.pending[0]?.descriptors).toMatchObject([{ access: 'readable', length: 64 }]);
});
