import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { inspectRing } from './inspect-ring.js';
import { featureBits, inspectWrites, memoryWith, SPLIT_AT, type Write } from './testing/ring-image.js';

/** Head 1: 12 readable bytes, then 64 writable ones. Head 3: a table at 0x5000 with one buffer of 32. */
const TWO: readonly Write[] = [
  [0x1010, '0040000000000000 0c000000 0100 0200'],
  [0x1020, '0041000000000000 40000000 0200 0000'],
  [0x1030, '0050000000000000 10000000 0400 0000'],
  [0x5000, '0042000000000000 20000000 0000 0000'],
  // Index 65535 uses entry 3, index 0 entry 0: it wraps in the middle of the batch.
  [0x2000, '0000 0100 0300 0000 0000 0100'],
  [0x3000, '0000 ffff'],
];

test('virtio 1.4 §2.7.5, §2.7.6: pending elements, oldest first, with every descriptor and where it stands (SP-08, SP-30)', () => {
  const report = inspectWrites('split', TWO);
  expect(report.violations).toEqual([]);
  expect(report.pending).toEqual([
    {
      position: 65535,
      wrap: null,
      id: 1,
      slots: 2,
      indirect: null,
      descriptors: [
        { place: { table: null, index: 1 }, address: '0x4000', length: 12, flags: 1, access: 'readable' },
        { place: { table: null, index: 2 }, address: '0x4100', length: 64, flags: 2, access: 'writable' },
      ],
      readableBytes: 12,
      writableBytes: 64,
      complete: true,
    },
    {
      position: 0,
      wrap: null,
      id: 3,
      slots: 1,
      indirect: { index: 3, table: '0x5000', length: 16, flags: 4 },
      descriptors: [
        { place: { table: '0x5000', index: 0 }, address: '0x4200', length: 32, flags: 0, access: 'readable' },
      ],
      readableBytes: 32,
      writableBytes: 0,
      complete: true,
    },
  ]);
  expect(report.totals).toEqual({ elements: 2, descriptors: 3, readableBytes: 44, writableBytes: 64 });
  expect(report.slots).toEqual([
    { from: 0, count: 1, state: 'idle' },
    { from: 1, count: 3, state: 'pending' },
  ]);
});

test('virtio 1.4 §2.7.6, §2.7.8: every field of both rings', () => {
  const report = inspectWrites('split', [
    [0x2000, '0100 0200 0000 0000 0000 0000 3412'],
    [0x3000, '0000 0200 03000000 40000000 01000000 00000000'],
    [0x3024, '7856'],
  ]);
  expect(report.header).toEqual({
    layout: 'split',
    avail: { flags: 1, idx: 2, used_event: 0x1234 },
    used: { flags: 0, idx: 2, avail_event: 0x5678 },
  });
  expect(report.returned).toEqual([
    { position: 0, wrap: null, id: 3, length: 64 },
    { position: 1, wrap: null, id: 1, length: 0 },
  ]);
  expect(report.parts.map(({ name, address, bytes }) => [name, address, bytes])).toEqual([
    ['descriptor table', '0x1000', 64],
    ['available ring', '0x2000', 14],
    ['used ring', '0x3000', 38],
  ]);
});

test('positions: given ones are taken, others read from the rings with how sure that is', () => {
  const known = (more = {}) => {
    const { lastAvail, used, driver } = inspectWrites('split', TWO, more).positions;
    return [lastAvail, used, driver].map((place) => `${place?.index} ${place?.known}`);
  };
  expect(known()).toEqual(['65535 likely', '65535 certain', '1 certain']);
  expect(known({ lastAvail: { index: 0 } })).toEqual(['0 given', '65535 certain', '1 certain']);
  expect(inspectWrites('split', TWO, { lastAvail: { index: 0 } })).toMatchObject({
    inFlight: 1,
    totals: { elements: 1 },
  });
  expect(inspectWrites('split', []).positions.lastAvail?.known).toBe('certain');
});

test('only what is pending is judged: a stale descriptor may hold anything', () => {
  const stale: Write = [0x1000, 'f0ffffffffffffff ffffffff ffff ffff'];
  expect(inspectWrites('split', [...TWO, stale]).violations).toEqual([]);
  expect(inspectWrites('split', [...TWO, stale, [0x200a, '0000']]).violations).not.toEqual([]);
});

test('SP-14: a buffer over two neighbouring regions is as good as any', () => {
  const report = inspectRing({
    ...{ layout: 'split', size: 4, ...SPLIT_AT },
    memory: memoryWith([
      [0x1000, 'ff8f000000000000 02000000 0000 0000'],
      [0x2000, '0000 0100 0000'],
    ]),
  });
  expect(report.violations.map(({ id }) => id)).toEqual(['ring.split.buffer-unmapped']);
  const seam = inspectWrites('split', [
    [0x1000, 'ffbf000000000000 02000000 0000 0000'],
    [0x2000, '0000 0100 0000'],
  ]);
  expect(seam.violations).toEqual([]);
});

test('SP-18, SP-19, SP-29: zero lengths and WRITE on an indirect descriptor are remarks, no violations', () => {
  const zero = inspectWrites('split', [
    [0x1000, '0040000000000000 00000000 0000 0000'],
    [0x2000, '0000 0100 0000'],
  ]);
  expect([zero.violations, zero.remarks.map(({ id, at }) => [id, at])]).toEqual([
    [],
    [['ring.split.zero-length', '0x1008']],
  ]);
  const write = inspectWrites('split', [...TWO, [0x103c, '0600']], { features: featureBits(VIRTIO_F.INDIRECT_DESC) });
  expect([write.violations, write.remarks.map(({ id, at }) => [id, at])]).toEqual([
    [],
    [['ring.split.indirect-write', '0x103c']],
  ]);
  expect(write.pending[1]?.descriptors).toHaveLength(1);
});

test('a used index that the device has not published yet is a remark', () => {
  const report = inspectWrites(
    'split',
    [
      [0x2000, '0000 0300'],
      [0x3000, '0000 0200'],
    ],
    {
      used: { index: 3 },
      lastAvail: { index: 3 },
    },
  );
  expect([report.violations, report.remarks.map(({ id }) => id)]).toEqual([[], ['ring.split.used-unpublished']]);
});

test('the report survives JSON', () => {
  const report = inspectWrites('split', TWO, { features: featureBits(VIRTIO_F.INDIRECT_DESC) });
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
});
