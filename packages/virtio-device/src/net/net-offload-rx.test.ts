import { DELIVERED, OFFLOAD } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import type { FrameFields } from './testing/fake-backend.js';
import { frameOf, hex, join } from './testing/frames.js';
import { LAYOUTS, NetBench, type NetBenchOptions } from './testing/net-bench.js';
import { isChecksummed, tcp4, udp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const GUEST = [F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6, F.GUEST_UFO, F.GUEST_USO4, F.GUEST_USO6, F.GUEST_ECN];
const TUNNELS = [...GUEST, F.GUEST_UDP_TUNNEL_GSO, F.GUEST_UDP_TUNNEL_GSO_CSUM];
const TSO: Partial<FrameFields> = { flags: 1, gsoType: 1, gsoSize: 1000, csumStart: 34, csumOffset: 16 };
const OPEN: Partial<FrameFields> = { flags: 1, csumStart: 34, csumOffset: 16 };
const giant = tcp4({ checksum: 'offloaded', payload: 3000 });

interface Received {
  readonly bench: NetBench;
  readonly headers: Uint8Array[];
  readonly frames: Uint8Array[];
}

/** What a driver with these features gets of one frame, in buffers that hold any. */
function received(
  layout: (typeof LAYOUTS)[number],
  features: readonly number[],
  frame: Uint8Array,
  fields: Partial<FrameFields> = {},
  options: NetBenchOptions = {},
): Received {
  const bench = new NetBench(layout, features, options);
  const posted = Array.from({ length: 8 }, () => bench.post([8192]));
  bench.backend.deliver(frame, fields, [40]);
  bench.step();
  const headerBytes = features.some((bit) => bit === F.GUEST_UDP_TUNNEL_GSO) ? 24 : 12;
  const packets = bench.collect(0).map(({ written }, i) => bench.read(posted[i]!.ranges).subarray(0, written));
  const headers = packets.map((packet) => packet.slice(0, headerBytes));
  return { bench, headers, frames: packets.map((packet) => packet.slice(headerBytes)) };
}

describe.each(LAYOUTS)('%s: received frames with work left to do', (layout) => {
  test('dev.net.rx.17,.19,.20: with GUEST_CSUM an open checksum is passed on, with the fields that complete it', () => {
    const open = tcp4({ checksum: 'offloaded' });
    const { headers, frames } = received(layout, [F.GUEST_CSUM], open, OPEN);
    // flags NEEDS_CSUM, csum_start 34, csum_offset 16, num_buffers 1
    expect(headers).toEqual([hex('01 00 0000 0000 2200 1000 0100')]);
    expect(frames).toEqual([open]);
  });

  test('with holdWhenFull a frame that is cut up stays whole with the backend; behind its first segment what has no buffer is counted', () => {
    const bench = new NetBench(layout, [], { holdWhenFull: true });
    bench.backend.deliver(giant, TSO);
    bench.backend.deliver(frameOf(60));
    bench.step();
    expect(bench.backend.outcomes.splice(0)).toEqual([DELIVERED.FULL]);
    expect(bench.drops()).toEqual({});
    bench.post([2000]);
    bench.step();
    expect(bench.collect(0).map(({ written }) => written)).toEqual([12 + 1054]);
    expect(bench.backend.outcomes.splice(0)).toEqual([DELIVERED.ACCEPTED, DELIVERED.FULL]);
    expect(bench.drops()).toEqual({ RX_NO_BUFFER: 2 });
    bench.post([2000]);
    bench.step();
    expect(bench.collect(0).map(({ written }) => written)).toEqual([12 + 60]);
  });

  test('dev.net.rx.18: a checksum field that is not in the frame is not passed on', () => {
    for (const fields of [
      { ...OPEN, csumStart: 1000 },
      { ...OPEN, csumOffset: 59 },
      { ...OPEN, csumStart: 4 },
    ]) {
      const { bench, frames } = received(layout, [F.GUEST_CSUM], tcp4({ checksum: 'offloaded' }), fields);
      expect(frames).toEqual([]);
      expect(bench.drops()).toEqual({ RX_BAD_OFFLOAD: 1 });
    }
  });

  test('dev.net.rx.5,.6: without GUEST_CSUM flags are zero and the checksum is complete', () => {
    const { headers, frames } = received(layout, [], tcp4({ checksum: 'offloaded' }), OPEN);
    expect(headers).toEqual([hex('00 00 0000 0000 0000 0000 0100')]);
    expect(frames).toEqual([tcp4()]);
    const { headers: dataValid } = received(layout, [], tcp4(), { flags: 2 });
    expect(dataValid[0]![0]).toBe(0);
  });

  test('dev.net.rx.27,.28,.31: with GUEST_TSO4 a frame to be segmented arrives whole', () => {
    const { headers, frames } = received(layout, GUEST, giant, TSO);
    // flags NEEDS_CSUM, TCPV4, hdr_len 54, gso_size 1000, csum_start 34, csum_offset 16, num_buffers 1
    expect(headers).toEqual([hex('01 01 3600 e803 2200 1000 0100')]);
    expect(frames).toEqual([giant]);
  });

  test('dev.net.rx.2,.3: a frame to be segmented spreads over mergeable buffers', () => {
    const bench = new NetBench(layout, [...GUEST, F.MRG_RXBUF]);
    const posted = [bench.post([1536]), bench.post([1536]), bench.post([1536])];
    bench.backend.deliver(giant, TSO);
    bench.step();
    expect(bench.collect(0).map(({ written }) => written)).toEqual([1536, 1530]);
    const bytes = bench.read(posted.flatMap(({ ranges }) => ranges)).subarray(0, 12 + 3054);
    expect(bytes).toEqual(join(hex('01 01 3600 e803 2200 1000 0200'), giant));
  });

  test.each([
    ['dev.net.rx.7,.26: no GUEST_TSO4: TCP segments', [F.GUEST_CSUM], giant, TSO, [1054, 1054, 1054]],
    [
      'dev.net.rx.10: no GUEST_USO4 and USO6: datagrams',
      [F.GUEST_CSUM, F.GUEST_TSO4],
      udp4({ checksum: 'offloaded', payload: 250 }),
      { flags: 1, gsoType: 5, gsoSize: 100, csumStart: 34, csumOffset: 6 },
      [142, 142, 92],
    ],
    [
      'dev.net.rx.13: no GUEST_ECN: TCP segments of an ECN-marked packet',
      [F.GUEST_CSUM, F.GUEST_TSO4],
      tcp4({ checksum: 'offloaded', payload: 2000, flags: 0x98 }),
      { ...TSO, gsoType: 0x81 },
      [1054, 1054],
    ],
  ])('%s, complete and with gso_type NONE', (_, features, frame, fields, lengths) => {
    const { headers, frames } = received(layout, features, frame, fields);
    expect(frames.map(({ length }) => length)).toEqual(lengths);
    expect(frames.every(isChecksummed)).toBe(true);
    for (const header of headers) expect(header.subarray(0, 10)).toEqual(new Uint8Array(10));
  });

  test('dev.net.rx.8,.9: no GUEST_UFO: fragments; no GUEST_TSO6: segments of IPv6', () => {
    const ufo = { flags: 1, gsoType: 3, gsoSize: 1000, csumStart: 34, csumOffset: 6 };
    const fragments = received(layout, [F.GUEST_CSUM], udp4({ checksum: 'offloaded', payload: 2000 }), ufo);
    expect(fragments.frames.map(({ length }) => length)).toEqual([1034, 1034, 42]);
    for (const header of fragments.headers) expect(header[1]).toBe(0);
    const ip6 = hex('525400123456525400aabbcc86dd 6000 0000 07e4 06 40'.replaceAll(' ', ''));
    const addresses = new Uint8Array(32).fill(0xfe);
    const tcp = hex('0050 03e8 00001000 00002000 5018 2000 0000 0000'.replaceAll(' ', ''));
    const frame = join(ip6, addresses, tcp, new Uint8Array(2000));
    const fields = { flags: 1, gsoType: 4, gsoSize: 1000, csumStart: 54, csumOffset: 16 };
    const { headers, frames } = received(layout, [F.GUEST_CSUM, F.GUEST_TSO4], frame, fields);
    expect(frames.map(({ length }) => length)).toEqual([1074, 1074]);
    for (const header of headers) expect(header[1]).toBe(0);
  });

  test('dev.net.rx.14: with GUEST_ECN such a packet has the ECN bit, whatever its sender set', () => {
    const marked = tcp4({ checksum: 'offloaded', payload: 2000, flags: 0x98 });
    for (const gsoType of [0x81, 0x01]) {
      const { headers } = received(layout, GUEST, marked, { ...TSO, gsoType });
      expect(headers.map((header) => header[1])).toEqual([0x81]);
    }
  });

  test('dev.net.rx.16,.30,.39,.42: what nobody negotiated is never set', () => {
    const bench = new NetBench(layout, [...TUNNELS, F.OUT_NET_HEADER]);
    const { ranges } = bench.post([8192]);
    // A backend that says RSC_INFO and SECURITY, and a frame with real work.
    bench.backend.deliver(giant, { ...TSO, flags: 0xf5, outerThOffset: 7, innerNhOffset: 9 });
    bench.step();
    const header = bench.read(ranges).subarray(0, 32);
    expect(header[0]).toBe(1);
    expect(header.subarray(12)).toEqual(new Uint8Array(20));
  });

  test('GSO fields that do not fit the frame: it is dropped', () => {
    for (const fields of [
      { ...TSO, gsoSize: 0 },
      { ...TSO, gsoType: 4 },
      { ...TSO, flags: 0 },
    ]) {
      const { bench, frames } = received(layout, GUEST, giant, fields);
      expect(frames).toEqual([]);
      expect(bench.drops()).toEqual({ RX_BAD_OFFLOAD: 1 });
    }
  });

  test('CTRL_GUEST_OFFLOADS: an offload that is turned off is done in software, on again it is passed on', () => {
    const bench = new NetBench(layout, [...GUEST, F.CTRL_VQ, F.CTRL_GUEST_OFFLOADS]);
    const posted = Array.from({ length: 4 }, () => bench.post([8192]));
    const gsoTypes = (): number[] => {
      bench.backend.deliver(giant, TSO);
      bench.step();
      return bench.collect(0).map(() => bench.read(posted.shift()!.ranges)[1]!);
    };
    expect(bench.backend.device!.offloads).toBe(
      OFFLOAD.CSUM | OFFLOAD.TSO4 | OFFLOAD.TSO6 | OFFLOAD.ECN | OFFLOAD.UFO | OFFLOAD.USO4 | OFFLOAD.USO6,
    );
    expect(gsoTypes()).toEqual([1]);
    // CSUM and TSO6 alone: bits 1 and 8
    expect(bench.control(hex('05 00 0201000000000000'))).toEqual(Uint8Array.of(0));
    expect(bench.backend.device!.offloads).toBe(OFFLOAD.CSUM | OFFLOAD.TSO6);
    expect(gsoTypes()).toEqual([0, 0, 0]);
  });

  test('segmentation without checksums is none: what an offload needs counts', () => {
    const bench = new NetBench(layout, [...GUEST, F.CTRL_VQ, F.CTRL_GUEST_OFFLOADS]);
    // TSO4 without CSUM: bit 7
    expect(bench.control(hex('05 00 8000000000000000'))).toEqual(Uint8Array.of(0));
    expect(bench.backend.device!.offloads).toBe(0);
  });

  test.each([
    ['an offload that was not negotiated', '0000000000400000'],
    ['a bit that is none', '0100000000000000'],
    ['seven bytes', '02000000000000'],
  ])('CT-20: %s is refused, and nothing changes', (_, data) => {
    const bench = new NetBench(layout, [F.GUEST_CSUM, F.CTRL_VQ, F.CTRL_GUEST_OFFLOADS]);
    expect(bench.control(hex(`05 00 ${data}`))).toEqual(Uint8Array.of(1));
    expect(bench.backend.device!.offloads).toBe(OFFLOAD.CSUM);
  });
});

/** TCP over IPv4 in VXLAN, as transmitted; see net-offload-tx.test.ts. */
function tunnelled(payload: number, outerSum: 'zero' | 'open'): Uint8Array {
  const inner = tcp4({ checksum: 'offloaded', payload });
  const to = { address: '0a000001', port: 4789 };
  const frame = udp4({ payload: 8 + inner.length, to, checksum: 'offloaded' });
  if (outerSum === 'zero') frame.set(hex('0000'), 40);
  frame.set(hex('08000000 00000100'), 42);
  frame.set(inner, 50);
  return frame;
}

const TUNNEL: Partial<FrameFields> = {
  flags: 1,
  gsoType: 0x21,
  gsoSize: 1000,
  csumStart: 84,
  csumOffset: 16,
  outerThOffset: 34,
  innerNhOffset: 64,
};

describe.each(LAYOUTS)('%s: received frames in UDP tunnels', (layout) => {
  test('dev.net.rx.22,.23,.24,.34,.37: with GUEST_UDP_TUNNEL_GSO they arrive whole, with their offsets', () => {
    const frame = tunnelled(2500, 'zero');
    const { headers, frames } = received(layout, TUNNELS, frame, { ...TUNNEL, hdrLen: 5 });
    // NEEDS_CSUM and no DATA_VALID, TCPV4 in UDP_TUNNEL_IPV4, hdr_len 104, gso_size 1000, 84, 16; then 34 and 64
    expect(headers).toEqual([hex('01 21 6800 e803 5400 1000 0100 00000000 0000 0000 2200 4000')]);
    expect(frames).toEqual([frame]);
    expect(frames[0]!.subarray(40, 42)).toEqual(hex('0000'));
  });

  test('dev.net.rx.35,.36: with GUEST_UDP_TUNNEL_GSO_CSUM an open outer checksum is passed on', () => {
    const frame = tunnelled(2500, 'open');
    const { headers, frames } = received(layout, TUNNELS, frame, { ...TUNNEL, flags: 9 });
    expect(headers.map((header) => header[0])).toEqual([9]);
    expect(frames).toEqual([frame]);
  });

  test('dev.net.rx.11,.21: without GUEST_UDP_TUNNEL_GSO they are cut up, and no tunnel bit is set', () => {
    const { headers, frames } = received(layout, GUEST, tunnelled(2500, 'zero'), TUNNEL);
    expect(frames.map(({ length }) => length)).toEqual([1104, 1104, 604]);
    for (const frame of frames) expect(isChecksummed(frame.subarray(50))).toBe(true);
    for (const header of headers) expect(header.subarray(0, 2)).toEqual(hex('0000'));
  });

  test('dev.net.rx.12,.25: without GUEST_UDP_TUNNEL_GSO_CSUM an outer checksum is finished on each segment', () => {
    const features = TUNNELS.filter((bit) => bit !== F.GUEST_UDP_TUNNEL_GSO_CSUM);
    const { headers, frames } = received(layout, features, tunnelled(2500, 'open'), { ...TUNNEL, flags: 9 });
    expect(frames.length).toBe(3);
    for (const frame of frames) expect(isChecksummed(frame)).toBe(true);
    for (const header of headers) expect(header[0]! & 8).toBe(0);
  });
});

describe.each(LAYOUTS)('%s: checksums of received frames', (layout) => {
  const options = { validateChecksums: true };

  test('dev.net.rx.32,.33: DATA_VALID is said of a checksum that was found right, and of no other', () => {
    const flags = (frame: Uint8Array): number => received(layout, [F.GUEST_CSUM], frame, {}, options).headers[0]![0]!;
    expect(flags(tcp4())).toBe(2);
    expect(flags(udp4())).toBe(2);
    expect(flags(tcp4({ checksum: 'wrong' }))).toBe(0);
    expect(flags(frameOf(60))).toBe(0);
  });

  test('without GUEST_CSUM nothing is said; the frames are the same', () => {
    for (const frame of [tcp4(), tcp4({ checksum: 'wrong' })]) {
      const { headers, frames } = received(layout, [], frame, {}, options);
      expect(headers[0]![0]).toBe(0);
      expect(frames).toEqual([frame]);
    }
  });
});
