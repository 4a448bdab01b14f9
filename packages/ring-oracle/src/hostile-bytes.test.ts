import { VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inspectRing } from './inspect-ring.js';
import type { RingInput } from './ring-input.js';
import { SavedMemory } from './saved-memory.js';
import { featureBits } from './testing/ring-image.js';

/** Small numbers often, so that indexes, flags and lengths come out near what is legal. */
const hostileBytes = fc
  .array(
    fc.oneof({ weight: 4, arbitrary: fc.nat(5) }, { weight: 1, arbitrary: fc.constantFrom(0x80, 0x81, 0x84, 0xff) }),
    {
      minLength: 0x400,
      maxLength: 0x400,
    },
  )
  .map((bytes) => Uint8Array.from(bytes));

const features = fc.option(
  fc.subarray([VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX, VIRTIO_F.IN_ORDER]).map((bits) => featureBits(...bits)),
  { nil: undefined },
);

const address = fc.oneof(fc.nat(0x400).map(BigInt), fc.bigInt(0n, (1n << 64n) - 1n));

test('whatever the bytes and the addresses are, the report comes, bounded and able to become JSON', () => {
  const property = fc.property(
    hostileBytes,
    fc.constantFrom('split', 'packed'),
    fc.integer({ min: 1, max: 20 }),
    fc.tuple(address, address, address),
    features,
    fc.boolean(),
    fc.nat(0xffff),
    (bytes, layout, size, [desc, driver, device], bits, ram, index) => {
      const input: RingInput = {
        memory: new SavedMemory([{ address: 0n, bytes }], ram ? [{ address: 0n, size: 0x400n }] : undefined),
        ...{ layout, size, desc, driver, device, maxDescriptors: 300 },
        ...(bits === undefined ? {} : { features: bits }),
        ...(index < 0x8000 ? { lastAvail: { index: layout === 'split' ? index : index % size, wrap: 1 } } : {}),
      };
      const report = inspectRing(input);
      expect(report.totals.descriptors).toBeLessThanOrEqual(300);
      expect(report.pending.length).toBeLessThanOrEqual(size);
      expect(report.violations.length).toBeLessThanOrEqual(200);
      expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    },
  );
  fc.assert(property, { numRuns: 2000 });
});

test('SP-05, PK-01: the largest rings full of the longest chains take bounded work', () => {
  const size = 32768;
  const bytes = new Uint8Array(0x100000);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < size; i++) {
    view.setUint32(i * 16 + 8, 1, true);
    view.setUint16(i * 16 + 12, 1, true);
    view.setUint16(i * 16 + 14, (i + 1) % size, true);
    // The same bytes as a packed slot: flags are the split next.
  }
  view.setUint16(0x80002, size, true);
  const memory = new SavedMemory([{ address: 0n, bytes }]);
  const input = { memory, size, desc: 0n, driver: 0x80000n, device: 0xa0000n } as const;
  const split = inspectRing({ ...input, layout: 'split' });
  expect([split.truncated, split.totals.descriptors, split.violations.length]).toEqual([true, 262144, 200]);
  expect(split.why.at(-1)).toBe('More than 262144 descriptors are pending: the rest was not decoded.');
  for (let i = 0; i < size; i++) view.setUint16(i * 16 + 14, 0x81, true);
  const packed = inspectRing({ ...input, layout: 'packed', lastAvail: { index: 0, wrap: 1 } });
  expect(packed.totals).toMatchObject({ elements: 1, descriptors: size });
});

test('findings beyond the limit are counted', () => {
  const bytes = new Uint8Array(0x2000);
  // avail.idx 256, every head 65535.
  bytes.fill(0xff, 0x804, 0x804 + 512);
  bytes[0x803] = 1;
  const memory = new SavedMemory([{ address: 0n, bytes }]);
  const input = { memory, layout: 'split', size: 256, desc: 0x2000n, driver: 0x800n, device: 0x1000n } as const;
  const report = inspectRing(input);
  expect([report.violations.length, report.findingsOmitted]).toEqual([200, 56]);
  expect(inspectRing({ ...input, maxFindings: 1000 }).violations).toHaveLength(256);
});

const memory = new SavedMemory([]);
const GOOD: RingInput = { memory, layout: 'packed', size: 4, desc: 0n, driver: 0n, device: 0n };

for (const [bad, sentence] of [
  [{ size: 0 }, 'queue_size is 0, want 1 to 32768'],
  [{ size: 32769 }, 'queue_size is 32769, want 1 to 32768'],
  [{ size: 1.5 }, 'queue_size is 1.5, want 1 to 32768'],
  [{ desc: 1n << 64n }, 'queue_desc is 0x10000000000000000, want 0 to 0xffffffffffffffff'],
  [{ lastAvail: { index: 4, wrap: 1 } }, 'lastAvail is 4, want 0 to 3'],
  [{ lastAvail: { index: 0 } }, 'lastAvail wrap counter is undefined, want 0 or 1'],
  [{ layout: 'split', used: { index: 65536 } }, 'used is 65536, want 0 to 65535'],
  [
    { lastAvail: { index: 1, wrap: 1 }, used: { index: 2, wrap: 1 } },
    'used is 2 wrap 1, want at most a lap behind lastAvail',
  ],
  [{ layout: 'split', driverUsedIdx: -1 }, 'driverUsedIdx is -1, want 0 to 65535'],
  [{ maxDescriptors: -1 }, 'maxDescriptors is -1, want 0 to 2147483647'],
] as const) {
  test(`a caller's mistake is named: ${sentence}`, () => {
    expect(() => inspectRing({ ...GOOD, ...bad })).toThrow(VirtioError);
    expect(() => inspectRing({ ...GOOD, ...bad })).toThrow(sentence);
  });
}
