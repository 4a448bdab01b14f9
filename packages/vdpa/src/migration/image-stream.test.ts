import { crc32 } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeImage } from './decode-image.js';
import { type DeviceImage, isImageRefusal } from './device-image.js';
import { encodeImage } from './encode-image.js';

const FEATURES = featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]);
const PACKED = featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.RING_PACKED]);
const ADDRESSES = { desc: 0x1_2345_6000, driver: 0x7000, device: 0x8000 };
const split: DeviceImage = {
  deviceId: 1,
  features: FEATURES,
  status: 15,
  config: Uint8Array.of(2, 0, 0, 0, 0, 1, 1, 0),
  queues: [
    {
      index: 0,
      size: 16,
      addresses: ADDRESSES,
      space: 0,
      position: { layout: 'split', lastAvailIdx: 0xfffe, usedIdx: 0xfffe },
    },
    { index: 1, size: 8, addresses: ADDRESSES, space: 1, position: { layout: 'split', lastAvailIdx: 3, usedIdx: 3 } },
  ],
  state: Uint8Array.of(1, 2, 3),
};
const packed: DeviceImage = {
  ...split,
  features: PACKED,
  queues: [
    {
      index: 0,
      size: 5,
      addresses: ADDRESSES,
      space: 0,
      position: { layout: 'packed', lastAvailIdx: 4, lastAvailWrapCounter: 0, usedIdx: 4, usedWrapCounter: 0 },
    },
  ],
};
/** Offsets in a stream of `split`: sections begin at 16, 56 and 80, queue 0 at 96. */
const AT = { device: 16, status: 52, config: 56, queues: 80, queue: 96 } as const;

/** Bytes of an image after a change, with a checksum that fits. */
function changed(change: (view: DataView) => void, image: DeviceImage = split): Uint8Array {
  const stream = encodeImage(image);
  change(new DataView(stream.buffer));
  return sealed(stream);
}

function sealed(stream: Uint8Array): Uint8Array {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  view.setUint32(12, stream.length, true);
  view.setUint32(stream.length - 4, crc32(stream.subarray(0, -4)), true);
  return stream;
}

const refused = (stream: Uint8Array): string => {
  const image = decodeImage(stream);
  return isImageRefusal(image) ? image.refusal : 'taken';
};

test('a stream is its header, four sections and the CRC-32 of them', () => {
  const stream = encodeImage(split);
  // magic "RWVM", order 0x1234, version 1.0, zero, 207 bytes; DEVICE with 24 bytes: type 1, features, status 15
  expect(Buffer.from(stream.subarray(0, 56)).toString('hex')).toBe(
    '5257564d 3412 0100 0000 0000 cf000000 01000000 00000000 1800000000000000 01000000 00000000 03000000 00000000 00000000 0f000000'.replaceAll(
      ' ',
      '',
    ),
  );
  for (const image of [split, packed]) expect(decodeImage(encodeImage(image))).toEqual(image);
});

test('MG-01 a stream cut after any byte is refused', () => {
  const stream = encodeImage(split);
  for (let bytes = 0; bytes < stream.length; bytes++) {
    expect(refused(stream.slice(0, bytes))).not.toBe('taken');
    if (bytes >= 20) expect(refused(sealed(stream.slice(0, bytes)))).not.toBe('taken');
  }
});

test('MG-02 any flipped bit is refused; with a checksum that fits it is refused, or another possible state', () => {
  for (const image of [split, packed]) {
    const stream = encodeImage(image);
    for (let bit = 0; bit < stream.length * 8; bit++) {
      const flipped = stream.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(refused(flipped)).not.toBe('taken');
      const result = decodeImage(sealed(flipped));
      if (!isImageRefusal(result)) expect(decodeImage(encodeImage(result))).toEqual(result);
    }
  }
});

test('MG-03 wrong magic, wrong version and a newer minor version are refused by name', () => {
  expect(refused(changed((view) => view.setUint32(0, 0x1234_5678, true)))).toContain('magic is 0x12345678');
  expect(refused(changed((view) => view.setUint16(6, 2, true)))).toBe('the version is 2.0, want 1.0');
  expect(refused(changed((view) => view.setUint16(8, 1, true)))).toBe('the version is 1.1, want 1.0');
});

test('MG-04 a section longer than the rest, and one of 2^63 bytes, are refused', () => {
  expect(refused(changed((view) => view.setUint32(AT.queues + 8, 108, true)))).toContain('QUEUES has 108 bytes');
  expect(refused(changed((view) => view.setUint32(AT.config + 12, 0x8000_0000, true)))).toContain('CONFIG has 9223372');
});

test('MG-05 a section twice, missing, in another order or unknown is refused', () => {
  const stream = encodeImage(split);
  const part = { device: [16, 56], config: [56, 80], queues: [80, 184], state: [184, 203] } as const;
  const of = (...names: (keyof typeof part)[]): Uint8Array =>
    sealed(
      Uint8Array.from(
        [stream.slice(0, 16), ...names.map((name) => stream.slice(...part[name])), stream.slice(203)].flatMap(
          (bytes) => [...bytes],
        ),
      ),
    );
  expect(refused(of('device', 'config', 'queues', 'state'))).toBe('taken');
  for (const names of [
    ['device', 'device', 'config', 'queues', 'state'],
    ['device', 'config', 'queues', 'queues', 'state'],
    ['device', 'config', 'queues'],
    ['device', 'config', 'state'],
    ['config', 'device', 'queues', 'state'],
  ] as const)
    expect(refused(of(...names))).not.toBe('taken');
  expect(refused(changed((view) => view.setUint32(AT.config, 9, true)))).toContain('tag 9, want 2, CONFIG');
});

test.each([0, 3, 24, 0x1_0000, 0xffff_ffff])('MG-06 a split ring of size %i is refused', (size) => {
  expect(refused(changed((view) => view.setUint32(AT.queue + 4, size, true)))).toContain(`has size ${size}`);
});

test('MG-08 a position with chains in flight is refused', () => {
  expect(refused(changed((view) => view.setUint16(AT.queue + 34, 0xff00, true)))).toContain('no chain in flight');
});

test('MG-09 wrap counters that are no bits, and an index that the ring does not have, are refused', () => {
  expect(refused(changed((view) => view.setUint32(AT.queue + 36, 4, true), packed))).toContain('wrap counters 4');
  expect(refused(changed((view) => view.setUint32(AT.queue + 32, 0x0005_0005, true), packed))).toContain('below 5');
  expect(refused(changed((view) => view.setUint32(AT.queue + 36, 3, true)))).toContain('wrap counters 3');
});

test.each([2, 4, 8, 9, 13, 0x4f, 0x8f, 0x10f])(
  'MG-11 status %i is one that no driver reaches, and is refused',
  (status) => {
    expect(refused(changed((view) => view.setUint32(AT.status, status, true)))).toContain('status is');
  },
);

test('MG-11 ready queues before FEATURES_OK are refused', () => {
  expect(refused(changed((view) => view.setUint32(AT.status, 3, true)))).toContain('before FEATURES_OK');
});

test('MG-20 a stream of the other byte order is refused', () => {
  expect(refused(changed((view) => view.setUint16(4, 0x3412, true)))).toContain('byte order mark is 0x3412');
});

test('any bytes are refused, or an image, and nothing is thrown', () => {
  const body = fc.uint8Array({ minLength: 20, maxLength: 200 });
  fc.assert(
    fc.property(body, fc.nat(160), (bytes, from) => {
      const stream = encodeImage(split);
      stream.set(bytes.subarray(0, Math.max(0, stream.length - from)), from);
      for (const some of [bytes, stream, sealed(stream.slice()), sealed(bytes.slice())])
        expect(refused(some)).toBeTypeOf('string');
    }),
  );
});

test('F68: an image out of a Buffer of Node’s, whose slice() is no copy, is the image’s own', () => {
  const bytes = Buffer.from(encodeImage(split));
  const image = decodeImage(bytes);
  bytes.fill(0);
  expect(image).toEqual(split);
});
