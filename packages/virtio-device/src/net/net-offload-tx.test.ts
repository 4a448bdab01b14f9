import { DELIVERED, OFFLOAD } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench, type NetBenchOptions } from './testing/net-bench.js';
import { isChecksummed, tcp4, udp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const HOST = [F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.HOST_UFO, F.HOST_USO, F.HOST_ECN];
const TUNNELS = [...HOST, F.HOST_UDP_TUNNEL_GSO, F.HOST_UDP_TUNNEL_GSO_CSUM];
const ALL = Object.values<number>(OFFLOAD).reduce((all, bit) => all | bit);

/** The struct by hand: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset; numbers little-endian. */
const header = (
  flags: number,
  gsoType: number,
  hdrLen: number,
  gsoSize: number,
  start: number,
  offset: number,
): Uint8Array => {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, flags);
  view.setUint8(1, gsoType);
  view.setUint16(2, hdrLen, true);
  view.setUint16(4, gsoSize, true);
  view.setUint16(6, start, true);
  view.setUint16(8, offset, true);
  return bytes;
};

/** What becomes of one packet. */
function transmitted(
  layout: (typeof LAYOUTS)[number],
  packet: readonly Uint8Array[],
  features: readonly number[] = HOST,
  offloads = 0,
  options: NetBenchOptions = {},
): { bench: NetBench; frames: Uint8Array[] } {
  const bench = new NetBench(layout, features, options);
  bench.backend.offloads = offloads;
  const id = bench.transmit(packet);
  bench.step();
  expect(bench.collect(1)).toEqual([{ id, written: 0 }]);
  return { bench, frames: bench.backend.sent.map(({ bytes }) => bytes) };
}

describe.each(LAYOUTS)('%s: transmitted packets that ask for work', (layout) => {
  test.each([
    ['TCP', tcp4, 16],
    ['UDP', udp4, 6],
  ])(
    'a %s checksum is finished where the backend does not take it, without touching the driver’s bytes',
    (_, make, offset) => {
      const bench = new NetBench(layout, HOST);
      const open = make({ checksum: 'offloaded' });
      bench.transmit([header(1, 0, 0, 0, 34, offset), open.subarray(0, 60), open.subarray(60)]);
      const since = bench.snapshot();
      bench.step();
      expect(bench.backend.sent).toEqual([{ bytes: make(), pair: 0, fields: {} }]);
      expect(bench.changedOutside(since)).toEqual([]);
    },
  );

  test('a backend that takes checksums gets the frame as it is, with checked fields', () => {
    const open = tcp4({ checksum: 'offloaded' });
    const { bench, frames } = transmitted(layout, [header(1, 0, 0, 0, 34, 16), open], HOST, ALL);
    expect(frames).toEqual([open]);
    expect(bench.backend.sent[0]!.fields).toEqual({ flags: 1, csumStart: 34, csumOffset: 16 });
  });

  test.each([
    ['TX-08: csum_start beyond the frame', 1000, 16],
    ['TX-09: the checksum one byte past the end', 34, 59],
    ['TX-10: csum_start 0 and csum_offset 65535', 0, 65535],
    ['TX-11: csum_start in the Ethernet header', 6, 2],
  ])('%s: the packet is dropped', (_, start, offset) => {
    const { bench, frames } = transmitted(layout, [header(1, 0, 0, 0, start, offset), tcp4()]);
    expect(frames).toEqual([]);
    expect(bench.drops()).toEqual({ TX_BAD_CSUM: 1 });
  });

  test('TX-12: a checksum that nobody negotiated is not made, and the packet dropped', () => {
    const { bench, frames } = transmitted(layout, [header(1, 0, 0, 0, 34, 16), tcp4({ checksum: 'offloaded' })], []);
    expect(frames).toEqual([]);
    expect(bench.drops()).toEqual({ TX_BAD_CSUM: 1 });
  });

  test('dev.net.tx.14: without NEEDS_CSUM a wrong checksum goes out as it is: it is not relied on', () => {
    const wrong = tcp4({ checksum: 'wrong' });
    const { frames } = transmitted(layout, [header(0, 0, 0, 0, 34, 16), wrong]);
    expect(frames).toEqual([wrong]);
  });

  test('TSO is cut up where the backend does not take it: each segment is whole, and together they are the payload', () => {
    const open = tcp4({ checksum: 'offloaded', payload: 3000 });
    const { bench, frames } = transmitted(layout, [header(1, 1, 54, 1000, 34, 16), open]);
    expect(frames.map(({ length }) => length)).toEqual([1054, 1054, 1054]);
    expect(frames.every(isChecksummed)).toBe(true);
    expect(join(...frames.map((frame) => frame.subarray(54)))).toEqual(open.subarray(54));
    // Sequence numbers go on; PSH is in the last segment alone.
    expect(frames.map((frame) => new DataView(frame.buffer).getUint32(38) - 0x1000)).toEqual([0, 1000, 2000]);
    expect(frames.map((frame) => frame[47])).toEqual([0x10, 0x10, 0x18]);
    expect(bench.drops()).toEqual({});
  });

  test.each([
    ['dev.net.tx.5,.6: TX-16: 65535', 65535],
    ['TX-16: 0', 0],
    ['TX-16: 20, in the IP header', 20],
  ])('%s as hdr_len with segmentation: the real headers are taken', (_, hdrLen) => {
    const open = tcp4({ checksum: 'offloaded', payload: 2000 });
    const { frames } = transmitted(layout, [header(1, 1, hdrLen, 1000, 34, 16), open], [...HOST, F.GUEST_HDRLEN]);
    expect(frames.map(({ length }) => length)).toEqual([1054, 1054]);
    expect(frames.every(isChecksummed)).toBe(true);
  });

  test('a packet that is cut up goes on where the backend had no more room: no segment is lost, none leaves twice', () => {
    const open = tcp4({ checksum: 'offloaded', payload: 4500 });
    const tso = header(1, 1, 54, 1000, 34, 16);
    const whole = transmitted(layout, [tso, open]).frames;
    expect(whole).toHaveLength(5);
    const bench = new NetBench(layout, HOST);
    const { backend } = bench;
    backend.answer = DELIVERED.FULL;
    const ids = [
      bench.transmit([tso, open]),
      bench.transmit([tso, open]),
      bench.transmit([plainHeader(), frameOf(60)]),
    ];
    for (const [room, used] of [
      [2, []],
      [2, []],
      [3, []],
      [7, [ids[0]]],
      [10, [ids[1]]],
      [11, [ids[2]]],
    ] as const) {
      backend.answerFrom = room;
      bench.step();
      expect(backend.sent).toHaveLength(room);
      expect(bench.collect(1).map(({ id }) => id)).toEqual(used);
    }
    expect(backend.sent.map(({ bytes }) => bytes)).toEqual([...whole, ...whole, frameOf(60)]);
  });

  test('a queue that is reset while a packet is half out begins the next packet with its first segment', () => {
    const bench = new NetBench(layout, HOST);
    const { backend } = bench;
    const tso = header(1, 1, 54, 1000, 34, 16);
    backend.answer = DELIVERED.FULL;
    backend.answerFrom = 2;
    bench.transmit([tso, tcp4({ checksum: 'offloaded', payload: 4500 })]);
    bench.step();
    expect(backend.sent.splice(0)).toHaveLength(2);
    bench.port.close(1);
    bench.device.queueChanged(1);
    bench.open(1);
    bench.device.queueChanged(1);
    backend.answer = DELIVERED.ACCEPTED;
    const next = tcp4({ checksum: 'offloaded', payload: 3000 });
    bench.transmit([tso, next]);
    bench.step();
    expect(join(...backend.sent.map(({ bytes }) => bytes.subarray(54)))).toEqual(next.subarray(54));
  });

  test.each([
    ['in one range', 12 + 1054],
    ['in two', 12],
  ])(
    'SP-31: a packet %s that its driver makes another one of, half out, harms nobody: what follows is whole',
    (_, cut) => {
      const packet = join(header(1, 1, 54, 200, 34, 16), tcp4({ checksum: 'offloaded', payload: 1000 }));
      const next = tcp4({ checksum: 'offloaded', payload: 100 });
      for (const change of [plainHeader(), header(1, 1, 54, 900, 34, 16), header(1, 1, 54, 0, 34, 16)]) {
        const bench = new NetBench(layout, HOST);
        const { backend } = bench;
        backend.answer = DELIVERED.FULL;
        backend.answerFrom = 3;
        const gpa = bench.take(packet.length, 4);
        bench.guest.write(gpa, packet);
        const rest = packet.length - cut;
        bench.offer(1, [{ gpa, length: cut }, ...(rest > 0 ? [{ gpa: gpa + cut, length: rest }] : [])]);
        bench.step();
        expect(backend.sent).toHaveLength(3);
        bench.guest.write(gpa, change);
        backend.answer = DELIVERED.ACCEPTED;
        bench.step();
        expect(bench.collect(1)).toHaveLength(1);
        backend.sent.length = 0;
        bench.transmit([header(1, 1, 54, 40, 34, 16), next]);
        bench.step();
        expect(join(...backend.sent.map(({ bytes }) => bytes.subarray(54)))).toEqual(next.subarray(54));
      }
    },
  );

  test('a backend that takes TSO gets the frame as it is, with the length of its real headers', () => {
    const open = tcp4({ checksum: 'offloaded', payload: 3000 });
    const { bench, frames } = transmitted(layout, [header(1, 1, 9999, 1000, 34, 16), open], HOST, ALL);
    expect(frames).toEqual([open]);
    const fields = { flags: 1, gsoType: 1, hdrLen: 54, gsoSize: 1000, csumStart: 34, csumOffset: 16 };
    expect(bench.backend.sent[0]!.fields).toEqual(fields);
  });

  test('USO becomes datagrams, each with its own length and checksum', () => {
    const open = udp4({ checksum: 'offloaded', payload: 250 });
    const { frames } = transmitted(layout, [header(1, 5, 42, 100, 34, 6), open]);
    expect(frames.map(({ length }) => length)).toEqual([142, 142, 92]);
    expect(frames.every(isChecksummed)).toBe(true);
  });

  test('UFO becomes fragments of one datagram', () => {
    const open = udp4({ checksum: 'offloaded', payload: 2000 });
    const { frames } = transmitted(layout, [header(1, 3, 42, 1000, 34, 6), open]);
    expect(frames.map((frame) => [frame[20]! & 0x20, ((frame[20]! & 0x1f) << 8) | frame[21]!])).toEqual([
      [0x20, 0],
      [0x20, 125],
      [0, 250],
    ]);
    const datagram = join(udp4({ payload: 2000 }).subarray(0, 34), ...frames.map((frame) => frame.subarray(34)));
    expect(isChecksummed(datagram)).toBe(true);
  });

  const giant = tcp4({ checksum: 'offloaded', payload: 3000 });
  const giantUdp = udp4({ checksum: 'offloaded', payload: 3000 });
  test.each<[string, Uint8Array, Uint8Array, string]>([
    ['TX-14: segment size 0', header(1, 1, 54, 0, 34, 16), giant, 'TX_BAD_GSO'],
    ['TX-15: segmentation type 0x1f', header(1, 0x1f, 54, 1000, 34, 16), giant, 'TX_BAD_GSO'],
    ['TX-15: segmentation type 2', header(1, 2, 54, 1000, 34, 16), giant, 'TX_BAD_GSO'],
    ['TX-19: TCPV6 of an IPv4 packet', header(1, 4, 54, 1000, 34, 16), giant, 'TX_BAD_GSO'],
    ['TX-19: UDP_L4 of a TCP packet', header(1, 5, 54, 1000, 34, 16), giant, 'TX_BAD_GSO'],
    ['TX-19: TCPV4 of a UDP packet', header(1, 1, 42, 1000, 34, 6), giantUdp, 'TX_BAD_GSO'],
    ['TX-19: TCPV4 of a frame without IP', header(1, 1, 54, 1000, 34, 16), frameOf(1514), 'TX_BAD_GSO'],
    ['TX-20: segments larger than the MTU', header(1, 1, 54, 2000, 34, 16), giant, 'TX_LONG_FRAME'],
    ['TX-20: more segments than a frame may become', header(1, 1, 54, 1, 34, 16), giant, 'TX_BAD_GSO'],
    ['TX-21: segmentation without NEEDS_CSUM', header(0, 1, 54, 1000, 34, 16), giant, 'TX_BAD_GSO'],
    ['ECN without TCP', header(1, 0x85, 42, 1000, 34, 6), giantUdp, 'TX_BAD_GSO'],
  ])('%s: nothing leaves', (_, hdr, frame, reason) => {
    const { bench, frames } = transmitted(layout, [hdr, frame]);
    expect(frames).toEqual([]);
    expect(bench.drops()).toEqual({ [reason]: 1 });
  });

  test.each<[string, number, number]>([
    ['TX-17: a TCP data offset of 4', 46, 0x40],
    ['TX-17: a TCP header beyond the frame', 46, 0xf0],
    ['TX-18: an IP header of 16 bytes', 14, 0x44],
    ['TX-18: an IP header of 60 bytes', 14, 0x4f],
    ['TX-18: an IP total length beyond the frame', 16, 0xff],
    ['TX-18: an IP total length of less than the frame', 17, 0x00],
  ])('%s: no segment is made', (_, at, value) => {
    const frame = tcp4({ checksum: 'offloaded', payload: 38 });
    frame[at] = value;
    const { bench, frames } = transmitted(layout, [header(1, 1, 54, 10, 34, 16), frame]);
    expect(frames).toEqual([]);
    expect(bench.drops()).toEqual({ TX_BAD_GSO: 1 });
  });

  test('TX-15: types that were not negotiated are not segmented, and not sent as giants', () => {
    for (const [type, feature] of [
      [1, F.HOST_TSO4],
      [3, F.HOST_UFO],
      [5, F.HOST_USO],
    ] as const) {
      const features = HOST.filter((bit) => bit !== feature && bit !== F.HOST_ECN);
      const isTcp = type === 1;
      const frame = isTcp ? giant : giantUdp;
      const { bench, frames } = transmitted(
        layout,
        [header(1, type, 54, 1000, 34, isTcp ? 16 : 6), frame],
        features,
        ALL,
      );
      expect(frames).toEqual([]);
      expect(bench.drops()).toEqual({ TX_BAD_GSO: 1 });
    }
    const noEcn = HOST.filter((bit) => bit !== F.HOST_ECN);
    expect(transmitted(layout, [header(1, 0x81, 54, 1000, 34, 16), giant], noEcn, ALL).frames).toEqual([]);
  });

  test('TX-22: IPv6 extension headers without end are followed so far, and no segment is made', () => {
    const headers = hex('525400123456525400aabbcc 86dd 6000 0000 0bb8 00 40'.replaceAll(' ', ''));
    const frame = join(headers, new Uint8Array(32), new Uint8Array(3000));
    const { bench, frames } = transmitted(layout, [header(1, 4, 74, 1000, 54, 16), frame]);
    expect(frames).toEqual([]);
    expect(bench.drops()).toEqual({ TX_BAD_GSO: 1 });
  });

  test('TX-13: a header that the driver changes while the frame leaves is the one that was copied', () => {
    const bench = new NetBench(layout, HOST);
    const packet = join(header(1, 1, 54, 1000, 34, 16), giant);
    const gpa = bench.take(packet.length, 4);
    bench.guest.write(gpa, packet);
    bench.offer(1, [{ gpa, length: packet.length }]);
    bench.backend.onFrame = () => bench.guest.write(gpa, new Uint8Array(12 + 54).fill(0xff));
    bench.step();
    const frames = bench.backend.sent.map(({ bytes }) => bytes);
    expect(frames.map(({ length }) => length)).toEqual([1054, 1054, 1054]);
    expect(frames.every(isChecksummed)).toBe(true);
  });
});

/** TCP over IPv4 in VXLAN over UDP and IPv4: outer UDP at 34, inner Ethernet at 50, inner IP at 64, inner TCP at 84. */
function tunnelled(payload: number): Uint8Array {
  const inner = tcp4({ checksum: 'offloaded', payload });
  const outer = udp4({ payload: 8 + inner.length, to: { address: '0a000001', port: 4789 } });
  const frame = outer.slice();
  frame.set(hex('0000'), 40);
  frame.set(hex('08000000 00000100'), 42);
  frame.set(inner, 50);
  return frame;
}

/** A header of 24 bytes, with outer_th_offset and inner_nh_offset. */
const tunnelHeader = (flags: number, gsoType: number, outer = 34, inner = 64): Uint8Array => {
  const bytes = new Uint8Array(24);
  bytes.set(header(flags, gsoType, 104, 1000, 84, 16));
  new DataView(bytes.buffer).setUint16(20, outer, true);
  new DataView(bytes.buffer).setUint16(22, inner, true);
  return bytes;
};

describe.each(LAYOUTS)('%s: packets in UDP tunnels', (layout) => {
  const frame = tunnelled(2500);

  test('TCP in VXLAN is cut up inside its tunnel', () => {
    const { frames } = transmitted(layout, [tunnelHeader(1, 0x21), frame], TUNNELS);
    expect(frames.map(({ length }) => length)).toEqual([1104, 1104, 604]);
    for (const segment of frames) {
      expect(isChecksummed(segment.subarray(50))).toBe(true);
      expect(segment.subarray(40, 42)).toEqual(hex('0000'));
    }
    expect(join(...frames.map((segment) => segment.subarray(104)))).toEqual(frame.subarray(104));
  });

  test('a backend that takes tunnels gets offsets along', () => {
    const { bench, frames } = transmitted(layout, [tunnelHeader(1, 0x21), frame], TUNNELS, ALL);
    expect(frames).toEqual([frame]);
    expect(bench.backend.sent[0]!.fields).toMatchObject({ gsoType: 0x21, outerThOffset: 34, innerNhOffset: 64 });
  });

  test.each<[string, Uint8Array]>([
    ['dev.net.tx.8: both tunnel bits', tunnelHeader(1, 0x61)],
    ['dev.net.tx.10: a tunnel bit without NEEDS_CSUM', tunnelHeader(0, 0x21)],
    ['dev.net.tx.11: a tunnel bit with DATA_VALID', tunnelHeader(3, 0x21)],
    ['dev.net.tx.12: a tunnel bit alone', tunnelHeader(1, 0x20)],
    ['dev.net.tx.13: UDP_TUNNEL_CSUM without a tunnel bit', tunnelHeader(9, 1)],
    ['outer_th_offset elsewhere', tunnelHeader(1, 0x21, 35)],
    ['inner_nh_offset elsewhere', tunnelHeader(1, 0x21, 34, 62)],
    ['the bit of the other IP version', tunnelHeader(1, 0x41)],
  ])('%s: the packet is not accepted', (_, hdr) => {
    const { bench, frames } = transmitted(layout, [hdr, frame], TUNNELS, ALL);
    expect(frames).toEqual([]);
    expect(bench.drops()).toEqual({ TX_BAD_TUNNEL: 1 });
  });

  test('dev.net.tx.9: without a tunnel bit the tunnel’s offsets count for nothing', () => {
    const open = tcp4({ checksum: 'offloaded' });
    const hdr = new Uint8Array(24).fill(0xff);
    hdr.set(header(1, 0, 0, 0, 34, 16));
    const { bench, frames } = transmitted(layout, [hdr, open], TUNNELS, ALL);
    expect(frames).toEqual([open]);
    expect(bench.backend.sent[0]!.fields).toEqual({ flags: 1, csumStart: 34, csumOffset: 16 });
  });

  test('tunnel bits that nobody negotiated are refused before the header is read further than it goes', () => {
    const { bench } = transmitted(layout, [header(1, 0x21, 104, 1000, 84, 16), frame], HOST, ALL);
    expect(bench.drops()).toEqual({ TX_BAD_GSO: 1 });
    const { bench: other } = transmitted(layout, [header(9, 1, 54, 1000, 34, 16), frame], HOST, ALL);
    expect(other.drops()).toEqual({ TX_BAD_TUNNEL: 1 });
  });

  test('dev.net.tx.3,.4,.15: outer_nh_offset, resource_id and resource_type are not used', () => {
    const plain = frameOf(60);
    const hdr = new Uint8Array(32);
    hdr.fill(0xff, 24);
    for (const features of [[F.OUT_NET_HEADER], [F.OUT_NET_HEADER, ...TUNNELS]]) {
      const { bench, frames } = transmitted(layout, [hdr, plain], features);
      expect(frames).toEqual([plain]);
      expect(bench.backend.sent[0]!.fields).toEqual({});
    }
  });
});
