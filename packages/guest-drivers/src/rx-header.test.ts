import { HostMemory } from '@ringwire/guest-memory';
import { featureWords, type NetFeature, VIRTIO_F, VIRTIO_NET_F, VIRTIO_NET_HDR_SIZE } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { NetOffload } from './net-offload.js';
import { offloadRules } from './offload-rules.js';
import { readRxHeader } from './rx-header.js';

const memory = HostMemory.create(0x1_0000);
const LENGTH = 1000;

/** The header's first 12 bytes, by their fields. */
interface Fields {
  flags?: number;
  type?: number;
  hdrLen?: number;
  size?: number;
  start?: number;
  offset?: number;
}

function read(features: readonly NetFeature[], fields: Fields, behind: readonly number[] = []): NetOffload | undefined {
  const { flags = 0, type = 0, hdrLen = 0, size = 0, start = 0, offset = 0 } = fields;
  const half = (value: number): number[] => [value & 0xff, value >> 8];
  memory.u8.fill(0, 0, 64);
  memory.u8.set([flags, type, ...half(hdrLen), ...half(size), ...half(start), ...half(offset), 1, 0, ...behind], 0);
  const words = featureWords([VIRTIO_F.VERSION_1, ...features.map((name) => VIRTIO_NET_F[name])]);
  const offload = new NetOffload();
  return readRxHeader(memory, 0, offloadRules(words), LENGTH, offload) ? offload : undefined;
}

const CSUM = ['GUEST_CSUM'] as const;
const GSO = [...CSUM, 'GUEST_TSO4', 'GUEST_TSO6', 'GUEST_USO4', 'GUEST_USO6', 'GUEST_UFO', 'GUEST_ECN'] as const;
const TUNNEL = [...GSO, 'GUEST_UDP_TUNNEL_GSO', 'GUEST_UDP_TUNNEL_GSO_CSUM'] as const;

test('drv.net.rx-buffers.4: the header has 12, 20, 24 or 32 bytes, by what was negotiated', () => {
  const bytes = (...names: NetFeature[]): number =>
    offloadRules(featureWords([VIRTIO_F.VERSION_1, ...names.map((name) => VIRTIO_NET_F[name])])).hdrBytes;
  expect([bytes(), bytes('HASH_REPORT'), bytes('HOST_UDP_TUNNEL_GSO'), bytes('OUT_NET_HEADER')]).toEqual([
    VIRTIO_NET_HDR_SIZE.V1,
    ...[20, 24, 32],
  ]);
});

test('drv.net.rx.1: flag bits that mean nothing are ignored', () => {
  expect(read(CSUM, { flags: 0xf2 })).toMatchObject({ flags: 2 });
});

test('DR-15: flags and types that were not negotiated are ignored', () => {
  expect(read([], { flags: 3, start: 14, offset: 6 })).toEqual(new NetOffload());
  expect(read(CSUM, { flags: 1, type: 1, size: 100, start: 34, offset: 16 })).toMatchObject({
    flags: 1,
    gsoType: 0,
    gsoSize: 0,
  });
  expect(read(GSO, { flags: 1, type: 0x21, size: 100, start: 84, offset: 16 })).toMatchObject({ flags: 1, gsoType: 0 });
});

test('drv.net.rx.4: csum_start and csum_offset count with NEEDS_CSUM alone, and not with RSC_INFO', () => {
  expect(read(CSUM, { flags: 0, start: 34, offset: 16 })).toMatchObject({ csumStart: 0, csumOffset: 0 });
  expect(read(CSUM, { flags: 2, start: 34, offset: 16 })).toMatchObject({ csumStart: 0, csumOffset: 0 });
  expect(read(CSUM, { flags: 5, start: 5000, offset: 16 })).toMatchObject({ flags: 0, csumStart: 0, csumOffset: 0 });
  expect(read(CSUM, { flags: 1, start: 34, offset: 16 })).toMatchObject({ flags: 1, csumStart: 34, csumOffset: 16 });
});

test('drv.net.rx.7: without NEEDS_CSUM and DATA_VALID nothing is said of the checksum', () => {
  expect(read(CSUM, {})).toMatchObject({ flags: 0 });
  expect(read(CSUM, { flags: 2 })).toMatchObject({ flags: 2 });
});

test('DR-13: a checksum outside the frame drops it', () => {
  expect(read(CSUM, { flags: 1, start: 996, offset: 2 })).toBeDefined();
  for (const [start, offset] of [
    [997, 2],
    [34, 0xffff],
    [0xffff, 0xffff],
  ] as const)
    expect(read(CSUM, { flags: 1, start, offset })).toBeUndefined();
});

test('DR-14: an unknown segmentation type, or segments of 0 bytes, drop the frame', () => {
  for (const type of [2, 6, 7, 0x1f])
    expect(read(GSO, { flags: 1, type, size: 100, start: 34, offset: 16 })).toBeUndefined();
  expect(read(GSO, { flags: 1, type: 1, size: 0, start: 34, offset: 16 })).toBeUndefined();
  expect(read(GSO, { flags: 0, type: 1, size: 100 })).toBeUndefined();
});

test('drv.net.rx.5,.6: hdr_len is passed on as a hint, and never exceeds the frame', () => {
  const at = { flags: 1, type: 1, size: 100, start: 34, offset: 16 };
  expect(read(GSO, { ...at, hdrLen: 54 })).toMatchObject({ hdrLen: 54 });
  expect(read(GSO, { ...at, hdrLen: 0xffff })).toMatchObject({ hdrLen: LENGTH, gsoSize: 100 });
  expect(read(GSO, { ...at, hdrLen: 0 })).toMatchObject({ hdrLen: 0, gsoSize: 100 });
});

test('segmentation of each type comes up, with ECN where it was negotiated', () => {
  for (const type of [1, 3, 4, 5, 0x81])
    expect(read(GSO, { flags: 1, type, size: 1448, start: 34, offset: 16 })).toMatchObject({
      gsoType: type,
      gsoSize: 1448,
    });
  expect(read(['GUEST_CSUM', 'GUEST_TSO4'], { flags: 1, type: 0x81, size: 9, start: 34, offset: 16 })).toMatchObject({
    gsoType: 1,
  });
});

describe('tunnels', () => {
  const good = { flags: 1, type: 0x21, size: 100, start: 84, offset: 16 };
  const hash = [0, 0, 0, 0, 0, 0, 0, 0];
  const offsets = [...hash, 42, 0, 62, 0];

  test('a frame in a tunnel comes up with the places of its headers', () => {
    expect(read(TUNNEL, good, offsets)).toMatchObject({ gsoType: 0x21, outerThOffset: 42, innerNhOffset: 62 });
    expect(read(TUNNEL, { ...good, flags: 9 }, offsets)).toMatchObject({ flags: 9 });
  });

  test('drv.net.rx.8,.10,.11,.12: both bits, no NEEDS_CSUM, DATA_VALID, or no type refuse it', () => {
    for (const features of [TUNNEL, GSO, []]) {
      expect(read(features, { ...good, type: 0x61 }, offsets)).toBeUndefined();
      expect(read(features, { ...good, flags: 0 }, offsets)).toBeUndefined();
      expect(read(features, { ...good, flags: 3 }, offsets)).toBeUndefined();
      expect(read(features, { ...good, type: 0x20 }, offsets)).toBeUndefined();
    }
  });

  test('drv.net.rx.13: UDP_TUNNEL_CSUM and NEEDS_CSUM without a tunnel bit refuse it', () => {
    expect(read(TUNNEL, { ...good, flags: 9, type: 1 }, offsets)).toBeUndefined();
  });

  test('drv.net.rx.9: without a tunnel bit the places are not looked at', () => {
    expect(read(TUNNEL, { ...good, type: 1 }, offsets)).toMatchObject({ outerThOffset: 0, innerNhOffset: 0 });
  });

  test('DR-13: places in the wrong order drop the frame', () => {
    expect(read(TUNNEL, good, [...hash, 62, 0, 42, 0])).toBeUndefined();
    expect(read(TUNNEL, good, [...hash, 42, 0, 84, 0])).toBeUndefined();
  });
});

test('drv.net.rx.2,.3: outer_nh_offset is used when OUT_NET_HEADER is negotiated and it lies in the frame', () => {
  const behind = (offset: number): number[] => [...new Array<number>(12).fill(0), offset & 0xff, offset >> 8];
  expect(read(['OUT_NET_HEADER'], {}, behind(14))).toMatchObject({ outerNhOffset: 14 });
  expect(read(['OUT_NET_HEADER'], {}, behind(LENGTH))).toMatchObject({ outerNhOffset: 0 });
  expect(read([], {}, behind(14))).toMatchObject({ outerNhOffset: 0 });
});

test('with HASH_REPORT the hash comes up, of the types that there are', () => {
  expect(read(['HASH_REPORT'], {}, [0x78, 0x56, 0x34, 0x12, 2, 0])).toMatchObject({
    hashValue: 0x12345678,
    hashReport: 2,
  });
  expect(read(['HASH_REPORT'], {}, [0x78, 0x56, 0x34, 0x12, 10, 0])).toMatchObject({ hashValue: 0, hashReport: 0 });
  expect(read([], {}, [0x78, 0x56, 0x34, 0x12, 2, 0])).toMatchObject({ hashValue: 0, hashReport: 0 });
});
