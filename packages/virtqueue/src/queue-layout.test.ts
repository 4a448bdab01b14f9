import { HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { GuardedGuest } from '@ringwire/guest-memory/testing';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { isRefusal, layOutQueue, type QueueConfig, type QueueLayout, type QueueRefusal } from './queue-layout.js';

const RAM = 0x1_0000;
const ROM = 0x8000;
const SEAM = 0x2_0000;
const END = 0x3_0000;
const guest = new GuardedGuest([
  { gpa: ROM, size: 0x1000, readOnly: true },
  { gpa: RAM, size: SEAM - RAM },
  { gpa: SEAM, size: END - SEAM },
]);

const features = (...bits: number[]): Uint32Array => featureWords(bits);
const split: QueueConfig = {
  space: guest.space,
  size: 16,
  desc: RAM,
  driver: RAM + 0x1000,
  device: RAM + 0x2000,
  features: features(),
};
const packed: QueueConfig = { ...split, features: features(VIRTIO_F.RING_PACKED) };

function refused(config: QueueConfig, side: 'device' | 'driver' = 'device'): QueueRefusal {
  const outcome = layOutQueue(config, side);
  if (!isRefusal(outcome)) throw new Error('the queue was accepted');
  return outcome;
}
function accepted(config: QueueConfig, side: 'device' | 'driver' = 'device'): QueueLayout {
  const outcome = layOutQueue(config, side);
  if (isRefusal(outcome)) throw new Error(outcome.message);
  return outcome;
}

test('a layout has the parts as host offsets, and the features as plain booleans', () => {
  const all = [VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX, VIRTIO_F.IN_ORDER];
  const host = guest.space.resolve(RAM, 1, 0);
  expect(accepted({ ...split, features: features(...all) })).toMatchObject({
    size: 16,
    desc: host,
    driver: host + 0x1000,
    device: host + 0x2000,
    packed: false,
    indirect: true,
    eventIdx: true,
    inOrder: true,
  });
  expect(accepted(packed)).toMatchObject({ packed: true, indirect: false, eventIdx: false, inOrder: false });
  for (const bit of all) {
    const { indirect, eventIdx, inOrder } = accepted({ ...packed, features: features(VIRTIO_F.RING_PACKED, bit) });
    expect([indirect, eventIdx, inOrder]).toEqual(all.map((other) => other === bit));
  }
});

test.each([0, 3, 7, 300, 32769, 65536, -2, 1.5, Number.NaN])('a split Queue Size of %d is refused', (size) => {
  expect(refused({ ...split, size })).toMatchObject({
    field: 'size',
    message: `size is ${size}, want a power of two ≤ 32768 (virtio 1.4 §2.7)`,
  });
});

test.each([0, 32769, 65536, -1, 1.5, Number.NaN])('a packed Queue Size of %d is refused', (size) => {
  expect(refused({ ...packed, size })).toMatchObject({
    field: 'size',
    message: `size is ${size}, want 1 to 32768 (virtio 1.4 §2.8)`,
  });
});

test('sizes at the edges are accepted', () => {
  for (const size of [1, 2, 256]) expect(accepted({ ...split, size }).size).toBe(size);
  for (const size of [1, 2, 7, 255]) expect(accepted({ ...packed, size }).size).toBe(size);
});

test.each([
  ['desc', 16, 8],
  ['driver', 2, 1],
  ['device', 4, 2],
] as const)('a misaligned split %s is refused, naming the alignment of %i', (field, align, off) => {
  const address = split[field] + off;
  expect(refused({ ...split, [field]: address })).toMatchObject({
    field,
    message: `${field} is ${address}, want a multiple of ${align} (virtio 1.4 §2.7)`,
  });
});

test.each([
  ['desc', 16, 8],
  ['driver', 4, 2],
  ['device', 4, 2],
] as const)('a misaligned packed %s is refused, naming the alignment of %i', (field, align, off) => {
  const address = packed[field] + off;
  expect(refused({ ...packed, [field]: address })).toMatchObject({
    field,
    message: `${field} is ${address}, want a multiple of ${align} (virtio 1.4 §2.8.10.1)`,
  });
});

// Bytes of each part for 16 descriptors: split 256, 38 and 134, packed 256, 4 and 4.
test.each([
  [split, 'desc', 256],
  [split, 'driver', 38],
  [split, 'device', 134],
  [packed, 'desc', 256],
  [packed, 'driver', 4],
  [packed, 'device', 4],
] as const)(
  'a part fits exactly before the end of memory, and one step further it is refused (%#)',
  (config, field, bytes) => {
    const align = { desc: 16, driver: 2, device: 4 }[field];
    const fits = END - Math.ceil(bytes / align) * align;
    expect(accepted({ ...config, [field]: fits }).size).toBe(16);
    const step = config === packed ? Math.max(align, 4) : align;
    expect(refused({ ...config, [field]: fits + step })).toMatchObject({
      field,
      message: expect.stringContaining(
        `${field} is ${fits + step}, want ${bytes} bytes of contiguous memory within reach`,
      ),
    });
  },
);

test('a part in two pieces of host memory is refused: a ring is one array', () => {
  expect(refused({ ...split, desc: SEAM - 16 }).field).toBe('desc');
  expect(refused({ ...split, driver: SEAM - 4 }).field).toBe('driver');
  expect(refused({ ...split, device: SEAM - 4 }).field).toBe('device');
  expect(refused({ ...packed, desc: SEAM - 16 }).field).toBe('desc');
});

test('each side needs the right to write what it writes, and no more', () => {
  const rom = { desc: ROM, driver: ROM + 0x400, device: ROM + 0x800 };
  const problems = (config: QueueConfig, side: 'device' | 'driver'): string[] =>
    (['desc', 'driver', 'device'] as const).filter((field) =>
      isRefusal(layOutQueue({ ...config, [field]: rom[field] }, side)),
    );
  expect(problems(split, 'device')).toEqual(['device']);
  expect(problems(split, 'driver')).toEqual(['desc', 'driver']);
  expect(problems(packed, 'device')).toEqual(['desc', 'device']);
  expect(problems(packed, 'driver')).toEqual(['desc', 'driver']);
});

test('parts that share a byte are refused, and parts that touch are not', () => {
  // Split: table of 256 bytes, available ring of 38, used ring of 134.
  expect(accepted({ ...split, driver: RAM + 256, device: RAM + 256 + 40 }).size).toBe(16);
  expect(refused({ ...split, driver: RAM + 254 })).toMatchObject({
    field: 'driver',
    message: `driver is ${RAM + 254}, want memory apart from the desc area (virtio 1.4 §2.7)`,
  });
  expect(refused({ ...split, device: RAM + 252 }).message).toContain('apart from the desc area');
  expect(refused({ ...split, device: split.driver + 36 }).message).toContain('apart from the driver area');
  expect(accepted({ ...split, driver: split.device + 134 }).size).toBe(16);
  expect(refused({ ...split, driver: split.device + 132 }).field).toBe('device');
  // A part inside another one.
  expect(refused({ ...packed, driver: RAM + 128 }).message).toContain('apart from the desc area');
  expect(refused({ ...packed, device: packed.driver }).message).toContain('apart from the driver area');
});

test('two addresses for the same bytes overlap as well', () => {
  const memory = HostMemory.create(0x1_0000);
  const alias = new IdentitySpace(memory);
  const space = {
    memory,
    enter: () => 0,
    leave: () => {},
    resolve: (address: number, length: number, access: number) => alias.resolve(address % 0x1000, length, access),
    resolveRanges: alias.resolveRanges.bind(alias),
  };
  expect(refused({ ...split, space, desc: 0, driver: 0x1010, device: 0x800 }).field).toBe('driver');
});

test('a foreign memory that is not aligned as its addresses are is refused', () => {
  const memory = HostMemory.create(0x1_0000);
  const inner = new IdentitySpace(memory);
  const shifted = (by: number): QueueConfig['space'] => ({
    memory,
    enter: () => 0,
    leave: () => {},
    resolve: (address, length, access) => inner.resolve(address + by, length, access),
    resolveRanges: inner.resolveRanges.bind(inner),
  });
  const at = { desc: 0, driver: 0x1000, device: 0x2000 };
  expect(refused({ ...split, ...at, space: shifted(2) }).message).toContain('a host offset aligned to');
  expect(refused({ ...split, ...at, space: shifted(1) }).field).toBe('desc');
  expect(accepted({ ...split, ...at, space: shifted(4) }).desc).toBe(4);
});
