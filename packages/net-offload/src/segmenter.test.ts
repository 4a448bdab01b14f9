import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Frame } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { finishFrame, OffloadEngine } from './offload-engine.js';
import { HEADER_BYTES } from './parse-frame.js';
import { frameOf } from './testing/frames.js';
import { type Giant, type GiantFields, giant } from './testing/giants.js';
import { hex } from './testing/hex.js';
import { referenceSegments } from './testing/reference-segments.js';

const GSO = VIRTIO_NET_HDR_GSO;
const memory = HostMemory.create(0x4_0000);
const AREA = 0x3_0000;
const FRAMES = 0x1_0000;

function segments(frame: Giant, cuts: readonly number[] = [], sink = new ScriptedBackend()): Uint8Array[] {
  const engine = new OffloadEngine(memory, AREA);
  expect(finishFrame(engine, giantFrame(frame, cuts), sink)).toBe(DELIVERED.ACCEPTED);
  expect([...engine.counters.faults].every((count) => count === 0)).toBe(true);
  return sink.bytes;
}

function giantFrame({ bytes, fields }: Giant, cuts: readonly number[] = []): Frame {
  return Object.assign(frameOf(memory, FRAMES, bytes, cuts), fields);
}

/** Compared as text, which is faster and reads better. */
function hexes(frames: readonly Uint8Array[]): string[] {
  return frames.map((bytes) => Buffer.from(bytes).toString('hex'));
}

const SIZES = [
  [2896, 1448],
  [2897, 1448],
  [1, 1448],
  [0, 1448],
  [4000, 8],
  [5000, 999],
  [60_000, 1400],
] as const;

const KINDS: [string, GiantFields][] = [
  ['TSO4', { type: GSO.TCPV4 }],
  [
    'TSO4 with IP and TCP options',
    { type: GSO.TCPV4, ipOptions: [1, 1, 1, 0], tcpOptions: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] },
  ],
  ['TSO4 behind a VLAN tag', { type: GSO.TCPV4, tags: [[0x8100, 5]] }],
  ['TSO6', { type: GSO.TCPV6 }],
  ['TSO6 behind destination options', { type: GSO.TCPV6, extension: [6, 0, 1, 4, 0, 0, 0, 0] }],
  ['USO4', { type: GSO.UDP_L4, version: 4 }],
  ['USO6', { type: GSO.UDP_L4, version: 6 }],
  ['TSO4 in a tunnel over IPv4', { type: GSO.TCPV4, tunnel: 4 }],
  ['TSO6 in a tunnel over IPv4', { type: GSO.TCPV6, tunnel: 4 }],
  ['TSO4 in a tunnel over IPv6 with outer checksums', { type: GSO.TCPV4, tunnel: 6, outerChecksum: true }],
  ['TSO6 in a tunnel over IPv4 with outer checksums', { type: GSO.TCPV6, tunnel: 4, outerChecksum: true }],
  ['USO4 in a tunnel over IPv6', { type: GSO.UDP_L4, version: 4, tunnel: 6, outerChecksum: true }],
  ['TSO4 in a tunnel with a header of 9 bytes', { type: GSO.TCPV4, tunnel: 4, tunnelHeader: 9, outerChecksum: true }],
];

describe('segments are those of the plain way, byte by byte:', () => {
  test.each(KINDS)('%s', (_, fields) => {
    for (const [payload, size] of SIZES) {
      const frame = giant({ ...fields, payload, size });
      expect(hexes(segments(frame))).toEqual(hexes(referenceSegments(frame.bytes, frame.layout, size)));
    }
  });

  test.each(KINDS)('%s, of any size, in any ranges', (_, fields) => {
    const lengths = fc.integer({ min: 0, max: 2000 });
    const sizes = fc.integer({ min: 2, max: 800 });
    const cuts = fc.array(fc.nat(500), { maxLength: 8 });
    fc.assert(
      fc.property(lengths, sizes, cuts, fc.nat(255), (payload, size, ranges, flags) => {
        const frame = giant({ ...fields, payload, size, flags, sequence: 0xffff_ff00 });
        expect(hexes(segments(frame, ranges))).toEqual(hexes(referenceSegments(frame.bytes, frame.layout, size)));
      }),
      { numRuns: 40 },
    );
  });
});

describe('by hand:', () => {
  test('a frame of 5 bytes becomes three segments of 2, 2 and 1', () => {
    const frame = frameOf(
      memory,
      FRAMES,
      hex`020000000002 020000000001 0800
      45 00 002d fffe 4000 40 06 26ca 0a000001 0a000002
      03e8 07d0 00000001 00000002 50 99 0010 1422 0000 0102030405`,
    );
    frame.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
    frame.gsoType = GSO.TCPV4 | GSO.ECN;
    frame.gsoSize = 2;
    frame.csumStart = 34;
    frame.csumOffset = 16;
    const sink = new ScriptedBackend();
    expect(finishFrame(new OffloadEngine(memory, AREA), frame, sink)).toBe(DELIVERED.ACCEPTED);
    // CWR on the first alone; PSH and FIN on the last alone. Identification wraps.
    expect(sink.bytes).toEqual([
      hex`020000000002 020000000001 0800
      45 00 002a fffe 4000 40 06 26cd 0a000001 0a000002
      03e8 07d0 00000001 00000002 50 90 0010 8e83 0000 0102`,
      hex`020000000002 020000000001 0800
      45 00 002a ffff 4000 40 06 26cc 0a000001 0a000002
      03e8 07d0 00000003 00000002 50 10 0010 8cff 0000 0304`,
      hex`020000000002 020000000001 0800
      45 00 0029 0000 4000 40 06 26cd 0a000001 0a000002
      03e8 07d0 00000005 00000002 50 19 0010 8af9 0000 05`,
    ]);
  });

  test('RFC 768: a datagram whose checksum comes out as zero is sent with all ones', () => {
    const frame = giant({ type: GSO.UDP_L4, payload: 4, size: 2 });
    const [, second] = segments(frame);
    const sum = (second![40]! << 8) | second![41]!;
    // What the checksum lacks to be zero is added to the payload of the second datagram.
    const word = (frame.bytes[frame.bytes.length - 2]! << 8) | frame.bytes[frame.bytes.length - 1]!;
    const wanted = (word + sum) % 0xffff;
    frame.bytes.set([wanted >> 8, wanted & 0xff], frame.bytes.length - 2);
    expect([...segments(frame)[1]!.subarray(40, 42)]).toEqual([0xff, 0xff]);
  });
});

test('nothing but headers is copied: behind its own headers a segment is ranges of the frame', () => {
  const frame = giant({ type: GSO.TCPV4, payload: 6000, size: 1000 });
  const sink = new ScriptedBackend();
  segments(frame, [], sink);
  for (const [index, { offsets }] of sink.frames.entries()) {
    const payload = 54 + index * 1000;
    expect(offsets.at(-1)).toBe(FRAMES + Math.max(payload, HEADER_BYTES));
  }
});
