import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Frame, OFFLOAD } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { beforeEach, describe, expect, test } from 'vitest';
import { finishFrame, OFFLOAD_AREA_BYTES, OffloadEngine } from './offload-engine.js';
import { OFFLOAD_FAULT } from './offload-fault.js';
import { SegmentProgress } from './segment-progress.js';
import { frameOf } from './testing/frames.js';
import { type GiantFields, giant } from './testing/giants.js';
import { counting, ethernet, ipv4, ipv6, tcp, udp } from './testing/packets.js';
import { checksumProblems } from './testing/reference-checks.js';

const GSO = VIRTIO_NET_HDR_GSO;
const HDR_F = VIRTIO_NET_HDR_F;
const AREA = 0x3_0000;
const FRAMES = 0x1_0000;

const memory = HostMemory.create(0x4_0000);
let engine: OffloadEngine;

beforeEach(() => {
  engine = new OffloadEngine(memory, AREA);
});

function giantFrame(wanted: GiantFields): Frame {
  const { bytes, fields } = giant(wanted);
  return Object.assign(frameOf(memory, FRAMES, bytes), fields);
}

function partial(bytes: Uint8Array, start: number, offset: number, cuts: readonly number[] = []): Frame {
  const fields = { flags: HDR_F.NEEDS_CSUM, csumStart: start, csumOffset: offset };
  return Object.assign(frameOf(memory, FRAMES, bytes, cuts), fields);
}

const FULL_TCP = ethernet(0x0800, ipv4(6, tcp(4, counting(1001))));
const PARTIAL_TCP = ethernet(0x0800, ipv4(6, tcp(4, counting(1001), {}, 'partial')));

describe('a frame that is complete', () => {
  test('goes on byte by byte, in any ranges, its headers as a copy', () => {
    for (const cuts of [[], [1, 0, 700], [600], [512], [14, 20, 20]]) {
      const sink = new ScriptedBackend();
      const frame = frameOf(memory, FRAMES, FULL_TCP, cuts);
      frame.pair = 3;
      expect(finishFrame(engine, frame, sink)).toBe(DELIVERED.ACCEPTED);
      expect(sink.bytes).toEqual([FULL_TCP]);
      expect(sink.frames[0]).toMatchObject({ offsets: expect.arrayContaining([AREA]), flags: 0, gsoType: 0, pair: 3 });
    }
    expect(engine.counters).toMatchObject({ asIs: 5, checksummed: 0, segmented: 0 });
  });

  test('is read from where it begins, behind a range and bytes that are skipped', () => {
    const frame = frameOf(memory, FRAMES, counting(2000), [100, 700]);
    Object.assign(frame, { first: 1, skip: 30, length: 1870 });
    const sink = new ScriptedBackend();
    finishFrame(engine, frame, sink);
    expect(sink.bytes).toEqual([counting(2000).subarray(130)]);
  });

  test('dev.net.tx.2: without NEEDS_CSUM, csum_start and csum_offset mean nothing', () => {
    const frame = partial(FULL_TCP, 0xffff, 0xffff);
    frame.flags = 0;
    const sink = new ScriptedBackend();
    expect(finishFrame(engine, frame, sink)).toBe(DELIVERED.ACCEPTED);
    expect(sink.bytes).toEqual([FULL_TCP]);
  });

  test('dev.net.tx.9: without a tunnel bit, outer_th_offset and inner_nh_offset mean nothing', () => {
    const frame = Object.assign(giantFrame({ type: GSO.TCPV4 }), { outerThOffset: 0xffff, innerNhOffset: 1 });
    const sink = new ScriptedBackend();
    expect(finishFrame(engine, frame, sink)).toBe(DELIVERED.ACCEPTED);
    expect(sink.frames).toHaveLength(3);
  });

  test('TX-23, dev.net.tx.1: flags that are not for transmission go no further', () => {
    const frame = frameOf(memory, FRAMES, FULL_TCP);
    frame.flags = 0xff & ~(HDR_F.NEEDS_CSUM | HDR_F.UDP_TUNNEL_CSUM);
    const sink = new ScriptedBackend(-1);
    expect(finishFrame(engine, frame, sink)).toBe(DELIVERED.ACCEPTED);
    expect(sink.frames[0]).toMatchObject({ bytes: FULL_TCP, flags: 0 });
  });
});

describe('a checksum is finished:', () => {
  test.each([
    ['TCP over IPv4', PARTIAL_TCP, FULL_TCP, 34, 16],
    [
      'UDP over IPv4',
      ethernet(0x0800, ipv4(17, udp(4, counting(100), 9, 'partial'))),
      ethernet(0x0800, ipv4(17, udp(4, counting(100), 9))),
      34,
      6,
    ],
    [
      'TCP over IPv6',
      ethernet(0x86dd, ipv6(6, tcp(6, counting(77), {}, 'partial'))),
      ethernet(0x86dd, ipv6(6, tcp(6, counting(77)))),
      54,
      16,
    ],
  ])('%s', (_, open, finished, start, offset) => {
    for (const cuts of [[], [start + 1, 30], [51]]) {
      const sink = new ScriptedBackend();
      expect(finishFrame(engine, partial(open, start, offset, cuts), sink)).toBe(DELIVERED.ACCEPTED);
      expect(sink.frames).toMatchObject([{ bytes: finished, flags: 0, csumStart: 0, csumOffset: 0 }]);
    }
    expect(engine.counters.checksummed).toBe(3);
  });

  test("the driver's own bytes stay as they are", () => {
    const frame = partial(PARTIAL_TCP, 34, 16);
    const before = memory.u8.slice(FRAMES, FRAMES + 2000);
    finishFrame(engine, frame, new ScriptedBackend());
    expect(memory.u8.slice(FRAMES, FRAMES + 2000)).toEqual(before);
  });

  test('a receiver that takes it open gets it open', () => {
    const sink = new ScriptedBackend(OFFLOAD.CSUM);
    finishFrame(engine, partial(PARTIAL_TCP, 34, 16), sink);
    expect(sink.frames).toMatchObject([
      { bytes: PARTIAL_TCP, flags: HDR_F.NEEDS_CSUM, csumStart: 34, csumOffset: 16, hdrLen: 0 },
    ]);
  });

  test('one frame to several receivers, each as it takes it', () => {
    const [open, finished] = [new ScriptedBackend(OFFLOAD.CSUM), new ScriptedBackend()];
    expect(engine.take(partial(PARTIAL_TCP, 34, 16))).toBe(OFFLOAD_FAULT.NONE);
    engine.deliver(open);
    engine.deliver(finished);
    engine.deliver(finished);
    expect(open.bytes).toEqual([PARTIAL_TCP]);
    expect(finished.bytes).toEqual([FULL_TCP, FULL_TCP]);
  });
});

describe('a frame to be cut up', () => {
  const KINDS: [string, GiantFields, number][] = [
    ['TSO4', { type: GSO.TCPV4 }, OFFLOAD.TSO4],
    ['TSO6', { type: GSO.TCPV6 }, OFFLOAD.TSO6],
    ['TSO4 with CWR', { type: GSO.TCPV4, flags: 0x90 }, OFFLOAD.TSO4 | OFFLOAD.ECN],
    ['UFO', { type: GSO.UDP }, OFFLOAD.UFO],
    ['USO4', { type: GSO.UDP_L4, version: 4 }, OFFLOAD.USO4],
    ['USO6', { type: GSO.UDP_L4, version: 6 }, OFFLOAD.USO6],
    ['TSO4 in a tunnel', { type: GSO.TCPV4, tunnel: 6 }, OFFLOAD.TSO4 | OFFLOAD.TUNNEL],
    [
      'TSO6 in a tunnel with outer checksums',
      { type: GSO.TCPV6, tunnel: 4, outerChecksum: true },
      OFFLOAD.TSO6 | OFFLOAD.TUNNEL | OFFLOAD.TUNNEL_CSUM,
    ],
  ];

  test.each(KINDS)('goes whole to a receiver that takes it, and only to it: %s', (_, wanted, needed) => {
    const { bytes } = giant(wanted);
    const all = needed | OFFLOAD.CSUM;
    const whole = new ScriptedBackend(all);
    expect(engine.take(giantFrame(wanted))).toBe(OFFLOAD_FAULT.NONE);
    expect(engine.deliver(whole)).toBe(DELIVERED.ACCEPTED);
    expect(whole.bytes).toEqual([bytes]);
    for (let bit = 1; bit <= all; bit <<= 1) {
      if ((all & bit) === 0) continue;
      const sink = new ScriptedBackend(~bit);
      expect(engine.deliver(sink)).toBe(DELIVERED.ACCEPTED);
      expect(sink.frames.length).toBeGreaterThan(1);
      for (const frame of sink.frames) expect(frame).toMatchObject({ flags: 0, gsoType: 0, gsoSize: 0, hdrLen: 0 });
    }
    // Its headers and fields were not touched on the way.
    expect(engine.deliver(whole)).toBe(DELIVERED.ACCEPTED);
    expect(whole.frames[1]).toEqual(whole.frames[0]);
  });

  test('dev.net.tx.7: hdr_len is not believed: a receiver is told the length of the real headers', () => {
    for (const hdrLen of [0, 1, 2974, 0xffff]) {
      const sink = new ScriptedBackend(-1);
      expect(finishFrame(engine, Object.assign(giantFrame({ type: GSO.TCPV4 }), { hdrLen }), sink)).toBe(
        DELIVERED.ACCEPTED,
      );
      expect(sink.frames[0]).toMatchObject({ hdrLen: 54, gsoType: GSO.TCPV4, gsoSize: 1448 });
      const cut = new ScriptedBackend();
      finishFrame(engine, Object.assign(giantFrame({ type: GSO.TCPV4 }), { hdrLen }), cut);
      expect(cut.frames.map(({ bytes }) => bytes.length)).toEqual([1502, 1502, 158]);
    }
  });

  test('whose sender did not say ECN is told with it when the TCP header has CWR', () => {
    const sink = new ScriptedBackend(-1);
    finishFrame(engine, giantFrame({ type: GSO.TCPV4, flags: 0x80 }), sink);
    expect(sink.frames[0]!.gsoType).toBe(GSO.TCPV4 | GSO.ECN);
  });

  test('becomes segments whose largest one is known before', () => {
    for (const [wanted, bytes] of [
      [{ type: GSO.TCPV4 }, 1502],
      [{ type: GSO.TCPV4, payload: 100 }, 154],
      [{ type: GSO.UDP, version: 6, size: 1001 }, 14 + 40 + 8 + 1000],
      [{ type: GSO.UDP_L4, tunnel: 4 }, 14 + 20 + 16 + 14 + 28 + 1448],
    ] as const) {
      engine.take(giantFrame(wanted));
      expect(engine.largestSegment()).toBe(bytes);
      const sink = new ScriptedBackend();
      engine.deliver(sink);
      expect(Math.max(...sink.frames.map((frame) => frame.bytes.length))).toBe(bytes);
    }
    engine.take(frameOf(memory, FRAMES, FULL_TCP));
    expect(engine.largestSegment()).toBe(FULL_TCP.length);
  });

  test('stays with its sender when the receiver has no room for the first segment', () => {
    const sink = new ScriptedBackend(0, [DELIVERED.FULL]);
    engine.take(giantFrame({ type: GSO.TCPV4 }));
    expect(engine.deliver(sink)).toBe(DELIVERED.FULL);
    expect(engine.counters).toMatchObject({ segmented: 0, segments: 0, segmentsLost: 0 });
    expect(engine.deliver(sink)).toBe(DELIVERED.ACCEPTED);
    expect(engine.counters).toMatchObject({ segmented: 1, segments: 3, segmentsLost: 0 });
    expect(sink.bytes.flatMap(checksumProblems)).toEqual([]);
  });

  test('loses what a receiver has no room for behind the first segment', () => {
    const sink = new ScriptedBackend(0, [DELIVERED.ACCEPTED, DELIVERED.FULL]);
    expect(finishFrame(engine, giantFrame({ type: GSO.TCPV4, payload: 8000 }), sink)).toBe(DELIVERED.ACCEPTED);
    expect(sink.frames).toHaveLength(1);
    expect(engine.counters).toMatchObject({ segmented: 1, segments: 1, segmentsLost: 5 });
  });

  test.each([
    ['TCP', { type: GSO.TCPV4, payload: 8000 }],
    ['UDP fragments over IPv6', { type: GSO.UDP, version: 6, payload: 8000 }],
    ['TCP in a tunnel', { type: GSO.TCPV4, tunnel: 4, payload: 8000 }],
  ] as const)('%s goes on behind the last segment that was dealt with, where its sender keeps it', (_, wanted) => {
    const whole = new ScriptedBackend();
    finishFrame(new OffloadEngine(memory, AREA), giantFrame(wanted), whole);
    expect(whole.frames).toHaveLength(6);
    const { ACCEPTED, FULL, DROPPED } = DELIVERED;
    const sink = new ScriptedBackend(0, [ACCEPTED, FULL, FULL, DROPPED, ACCEPTED, FULL]);
    const engine = new OffloadEngine(memory, AREA);
    const progress = new SegmentProgress();
    const outcomes = [1, 2, 3, 4].map(() => {
      engine.take(giantFrame(wanted));
      const outcome = engine.deliver(sink, progress);
      // Another sender's turn, with the same engine.
      finishFrame(engine, giantFrame({ type: GSO.UDP, version: 6 }), new ScriptedBackend());
      return outcome;
    });
    expect(outcomes).toEqual([FULL, FULL, FULL, ACCEPTED]);
    expect(progress.done).toBe(0);
    // The second one was dropped.
    expect(sink.bytes).toEqual(whole.bytes.filter((_, index) => index !== 1));
    expect(engine.counters).toMatchObject({ segmented: 1 + 4, segments: 5 + 4 * 3, segmentsLost: 1 });
  });

  test('is dropped when every segment is', () => {
    const sink = new ScriptedBackend(0, [DELIVERED.DROPPED, DELIVERED.DROPPED, DELIVERED.DROPPED]);
    expect(finishFrame(engine, giantFrame({ type: GSO.TCPV4 }), sink)).toBe(DELIVERED.DROPPED);
    const other = new ScriptedBackend(0, [DELIVERED.DROPPED]);
    expect(finishFrame(engine, giantFrame({ type: GSO.TCPV4 }), other)).toBe(DELIVERED.ACCEPTED);
    expect(other.frames).toHaveLength(2);
  });
});

test('a tunnel whose outer checksum is filled in gets one per segment, one without stays without', () => {
  const filled = giantFrame({ type: GSO.TCPV4, tunnel: 4 });
  memory.u8.set([0x12, 0x34], FRAMES + 14 + 20 + 6);
  const sink = new ScriptedBackend();
  finishFrame(engine, filled, sink);
  finishFrame(engine, giantFrame({ type: GSO.TCPV4, tunnel: 4 }), sink);
  expect(sink.bytes.map((bytes) => checksumProblems(bytes))).toEqual([
    [],
    [],
    [],
    ['no UDP checksum'],
    ['no UDP checksum'],
    ['no UDP checksum'],
  ]);
});

test('an area outside the memory is refused', () => {
  expect(() => new OffloadEngine(memory, memory.size - OFFLOAD_AREA_BYTES + 1)).toThrow(VirtioError);
  expect(() => new OffloadEngine(memory, -1)).toThrow(VirtioError);
});

test('a frame of another memory is brought: what comes out is the same, byte for byte', () => {
  const other = HostMemory.create(1);
  const outcomes = [engine, new OffloadEngine()].map((taker) =>
    [memory, other].map((place) => {
      const frame = frameOf(place, 0, FULL_TCP);
      expect(taker.take(frame)).toBe(OFFLOAD_FAULT.NONE);
      const sink = new ScriptedBackend();
      taker.deliver(sink);
      return sink.bytes;
    }),
  );
  const [first] = outcomes.flat();
  expect(first!.length).toBeGreaterThan(0);
  for (const sent of outcomes.flat()) expect(sent).toEqual(first);
});

test('a frame of another memory that is longer than any is not brought', () => {
  const other = HostMemory.create(0x2_0000);
  const frame = frameOf(other, 0, FULL_TCP);
  frame.ranges.length[0] = 0x1_1000;
  frame.length = 0x1_1000;
  expect(new OffloadEngine().take(frame)).toBe(OFFLOAD_FAULT.LONG_FRAME);
});
