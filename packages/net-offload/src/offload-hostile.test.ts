import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Frame } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_SEGMENTS } from './check-offloads.js';
import { finishFrame, OFFLOAD_AREA_BYTES, OffloadEngine } from './offload-engine.js';
import { OFFLOAD_FAULT } from './offload-fault.js';
import { frameOf } from './testing/frames.js';
import { type GiantFields, type GiantHeader, giant } from './testing/giants.js';
import { counting, ethernet, ipv4, ipv6, join, tcp, udp } from './testing/packets.js';

const FAULT = OFFLOAD_FAULT;
const GSO = VIRTIO_NET_HDR_GSO;
const HDR_F = VIRTIO_NET_HDR_F;
const AREA = 0x3_0000;
const FRAMES = 0x1_0000;
const memory = HostMemory.create(0x4_0000);

/** The frame is given up for this reason, counted once, nothing leaves, and no byte outside the area changed. */
function expectFault(frame: Frame, fault: number): void {
  const engine = new OffloadEngine(memory, AREA);
  const before = memory.u8.slice();
  const sink = new ScriptedBackend();
  expect(finishFrame(engine, frame, sink)).toBe(DELIVERED.DROPPED);
  expect([...engine.counters.faults.entries()].filter(([, count]) => count > 0)).toEqual([[fault, 1]]);
  expect(sink.frames).toEqual([]);
  before.set(memory.u8.subarray(AREA, AREA + OFFLOAD_AREA_BYTES), AREA);
  expect(Buffer.compare(before, memory.u8)).toBe(0);
}

function damaged(wanted: GiantFields, fields: Partial<GiantHeader>, bytes: readonly [number, number][] = []): Frame {
  const made = giant(wanted);
  for (const [at, value] of bytes) made.bytes[at] = value;
  return Object.assign(frameOf(memory, FRAMES, made.bytes), made.fields, fields);
}

function partial(bytes: Uint8Array, start: number, offset: number): Frame {
  const fields = { flags: HDR_F.NEEDS_CSUM, csumStart: start, csumOffset: offset };
  return Object.assign(frameOf(memory, FRAMES, bytes), fields);
}

const TCP4: GiantFields = { type: GSO.TCPV4 };
const TUNNEL: GiantFields = { type: GSO.TCPV4, tunnel: 4 };

describe('checksum fields:', () => {
  const bytes = ethernet(0x0800, ipv4(6, tcp(4, counting(46))));
  test.each([
    ['TX-08: start beyond the frame', bytes.length + 1, 0],
    ['TX-08: start at the end', bytes.length, 0],
    ['TX-09: a field that ends one byte behind the frame', bytes.length - 17, 16],
    ['TX-10: start 14, offset 65535', 14, 65535],
    ['TX-10: start 0, offset 65535', 0, 65535],
    ['TX-10: both 65535', 65535, 65535],
  ])('%s', (_, start, offset) => {
    expectFault(partial(bytes, start, offset), FAULT.CSUM_OUTSIDE);
  });

  test('TX-09: a field that ends with the frame is finished', () => {
    const sink = new ScriptedBackend();
    const engine = new OffloadEngine(memory, AREA);
    expect(finishFrame(engine, partial(bytes, bytes.length - 18, 16), sink)).toBe(DELIVERED.ACCEPTED);
    expect(sink.bytes[0]!.subarray(0, -2)).toEqual(bytes.subarray(0, -2));
  });

  test.each([0, 6, 13])('TX-11: start %i is in the Ethernet header: the frame is dropped', (start) => {
    expectFault(partial(bytes, start, 40), FAULT.CSUM_IN_ETHERNET);
  });

  test('TX-10: a field behind the first 512 bytes is beyond what is looked at', () => {
    expectFault(partial(ethernet(0x0800, ipv4(6, tcp(4, counting(2000)))), 34, 477), FAULT.CSUM_FAR);
  });

  test('TX-05: a frame shorter than an Ethernet header', () => {
    for (const length of [0, 1, 13]) expectFault(frameOf(memory, FRAMES, bytes.subarray(0, length)), FAULT.SHORT_FRAME);
  });
});

describe('segmentation fields:', () => {
  test('TX-14: size 0', () => {
    for (const type of [GSO.TCPV4, GSO.TCPV6, GSO.UDP, GSO.UDP_L4]) {
      expectFault(damaged({ type }, { gsoSize: 0 }), FAULT.GSO_SIZE);
    }
  });

  test('TX-14: fragments of less than 8 bytes', () => {
    expectFault(damaged({ type: GSO.UDP }, { gsoSize: 7 }), FAULT.GSO_SIZE);
  });

  test('TX-14: what one frame may become is bounded', () => {
    expectFault(damaged({ ...TCP4, payload: MAX_SEGMENTS * 8 + 1 }, { gsoSize: 8 }), FAULT.GSO_SIZE);
    expectFault(damaged({ ...TCP4, payload: 60_000 }, { gsoSize: 1 }), FAULT.GSO_SIZE);
    const sink = new ScriptedBackend();
    finishFrame(new OffloadEngine(memory, AREA), damaged({ ...TCP4, payload: MAX_SEGMENTS * 8 }, { gsoSize: 8 }), sink);
    expect(sink.frames).toHaveLength(MAX_SEGMENTS);
  });

  test.each([0x02, 0x06, 0x07, 0x10, 0x1f, 0x80, 0x83, 0x85])('TX-15: type 0x%s is not one', (gsoType) => {
    expectFault(damaged(TCP4, { gsoType }), FAULT.GSO_TYPE);
  });

  test('TX-16: hdr_len of 0 or beyond the frame: the real headers count', () => {
    for (const hdrLen of [0, 65535]) {
      const sink = new ScriptedBackend();
      finishFrame(new OffloadEngine(memory, AREA), damaged(TCP4, { hdrLen }), sink);
      expect(sink.frames.map(({ bytes }) => bytes.length)).toEqual([1502, 1502, 158]);
    }
  });

  test.each([
    ['below 5', 0x40],
    ['0', 0x00],
  ])('TX-17: a TCP data offset %s', (_, value) => {
    expectFault(damaged(TCP4, {}, [[34 + 12, value]]), FAULT.GSO_HEADERS);
  });

  test('TX-17: a TCP header beyond the end of the frame', () => {
    expectFault(damaged({ ...TCP4, payload: 39 }, {}, [[34 + 12, 0xf0]]), FAULT.GSO_HEADERS);
  });

  test('TX-18: an IP header length below 5, and one beyond the end', () => {
    expectFault(damaged(TCP4, {}, [[14, 0x44]]), FAULT.GSO_HEADERS);
    expectFault(damaged({ ...TCP4, payload: 0 }, {}, [[14, 0x4f]]), FAULT.GSO_HEADERS);
  });

  test('TX-18: an IP length that is not that of the frame', () => {
    for (const [wanted, at] of [
      [TCP4, 16],
      [{ type: GSO.TCPV6 }, 18],
      [{ type: GSO.UDP_L4 }, 16],
    ] as const) {
      const { bytes } = giant(wanted);
      const low = bytes[at + 1]!;
      expectFault(damaged(wanted, {}, [[at + 1, low - 1]]), FAULT.GSO_LENGTH);
      expectFault(damaged(wanted, {}, [[at + 1, low + 1]]), FAULT.GSO_LENGTH);
    }
  });

  test('TX-18: a UDP length that is not that of the frame', () => {
    for (const type of [GSO.UDP, GSO.UDP_L4]) {
      expectFault(damaged({ type }, {}, [[34 + 4, 0]]), FAULT.GSO_LENGTH);
    }
  });

  test.each([
    ['IPv6 frame as TCPV4', { type: GSO.TCPV6 }, { gsoType: GSO.TCPV4 }],
    ['IPv4 frame as TCPV6', { type: GSO.TCPV4 }, { gsoType: GSO.TCPV6 }],
    ['UDP frame as TCPV4', { type: GSO.UDP_L4 }, { gsoType: GSO.TCPV4 }],
    ['TCP frame as UDP', { type: GSO.TCPV4 }, { gsoType: GSO.UDP }],
    ['TCP frame as UDP_L4', { type: GSO.TCPV4 }, { gsoType: GSO.UDP_L4 }],
  ])('TX-19: %s', (_, wanted, fields) => {
    expectFault(damaged(wanted, fields), FAULT.GSO_HEADERS);
  });

  test('TX-19: another EtherType', () => {
    expectFault(damaged(TCP4, {}, [[12, 0x12]]), FAULT.GSO_HEADERS);
  });

  test.each([
    ['csum_start', { csumStart: 35 }],
    ['csum_offset', { csumOffset: 6 }],
  ])('TX-19: %s that is not that of the TCP header', (_, fields) => {
    expectFault(damaged(TCP4, fields), FAULT.GSO_HEADERS);
  });

  test('TX-19: a fragment is not cut up again', () => {
    expectFault(damaged(TCP4, {}, [[20, 0x20]]), FAULT.GSO_HEADERS);
    const atomic = ethernet(0x86dd, ipv6(44, join([17, 0, 0, 0, 1, 2, 3, 4], udp(6, counting(3000), 9, 'partial'))));
    const fields = { gsoType: GSO.UDP, gsoSize: 1000 };
    expectFault(Object.assign(partial(atomic, 62, 6), fields), FAULT.GSO_HEADERS);
  });

  test('TX-20: headers that fill the frame leave one segment without payload', () => {
    const sink = new ScriptedBackend();
    const engine = new OffloadEngine(memory, AREA);
    expect(finishFrame(engine, damaged({ ...TCP4, payload: 0, size: 1 }, {}), sink)).toBe(DELIVERED.ACCEPTED);
    expect(sink.frames.map(({ bytes }) => bytes.length)).toEqual([54]);
  });

  test('TX-21: without NEEDS_CSUM', () => {
    for (const type of [GSO.TCPV4, GSO.TCPV6, GSO.UDP, GSO.UDP_L4]) {
      expectFault(damaged({ type }, { flags: 0 }), FAULT.GSO_WITHOUT_CSUM);
    }
  });

  test('TX-22: extension headers that lead on and on', () => {
    const chain = new Uint8Array(8 * 9).map((_, at) => (at % 8 === 0 ? 60 : 0));
    const frame = ethernet(0x86dd, ipv6(60, join(chain, tcp(6, counting(3000), {}, 'partial'))));
    expectFault(
      Object.assign(partial(frame, 14 + 40 + 72, 16), { gsoType: GSO.TCPV6, gsoSize: 1000 }),
      FAULT.GSO_HEADERS,
    );
  });
});

describe('tunnel fields:', () => {
  const bits4 = GSO.TCPV4 | GSO.UDP_TUNNEL_IPV4;
  test.each([
    ['dev.net.tx.8: both tunnel bits', { gsoType: bits4 | GSO.UDP_TUNNEL_IPV6 }, FAULT.TUNNEL_FLAGS],
    ['dev.net.tx.10: a tunnel bit without NEEDS_CSUM', { flags: 0 }, FAULT.TUNNEL_FLAGS],
    ['dev.net.tx.11: a tunnel bit with DATA_VALID', { flags: HDR_F.NEEDS_CSUM | HDR_F.DATA_VALID }, FAULT.TUNNEL_FLAGS],
    ['dev.net.tx.12: a tunnel bit alone', { gsoType: GSO.UDP_TUNNEL_IPV4 }, FAULT.TUNNEL_FLAGS],
    ['a tunnel bit with UFO', { gsoType: GSO.UDP | GSO.UDP_TUNNEL_IPV4 }, FAULT.TUNNEL_FLAGS],
    ['the bit of the other inner version', { gsoType: GSO.TCPV4 | GSO.UDP_TUNNEL_IPV6 }, FAULT.TUNNEL_HEADERS],
    ['outer_th_offset elsewhere', { outerThOffset: 35 }, FAULT.TUNNEL_HEADERS],
    ['inner_nh_offset before the end of the outer UDP header', { innerNhOffset: 14 }, FAULT.TUNNEL_HEADERS],
    ['inner_nh_offset beyond the frame', { innerNhOffset: 65535 }, FAULT.TUNNEL_HEADERS],
    ['csum_start of the outer header', { csumStart: 34, csumOffset: 6 }, FAULT.GSO_HEADERS],
  ])('%s', (_, fields, fault) => {
    expectFault(damaged(TUNNEL, fields), fault);
  });

  test('dev.net.tx.13: UDP_TUNNEL_CSUM without a tunnel bit', () => {
    expectFault(damaged(TCP4, { flags: HDR_F.NEEDS_CSUM | HDR_F.UDP_TUNNEL_CSUM }), FAULT.TUNNEL_FLAGS);
    const frame = frameOf(memory, FRAMES, counting(60));
    frame.flags = HDR_F.UDP_TUNNEL_CSUM;
    expectFault(frame, FAULT.TUNNEL_FLAGS);
  });

  test('a tunnel bit on a frame without a tunnel', () => {
    expectFault(damaged(TCP4, { gsoType: bits4, outerThOffset: 34, innerNhOffset: 42 }), FAULT.TUNNEL_HEADERS);
  });
});

test('TX-14: whatever the fields and headers say, it ends, and frames stay within bounds', () => {
  const wanted = fc.record({
    type: fc.constantFrom(GSO.TCPV4, GSO.TCPV6, GSO.UDP, GSO.UDP_L4),
    version: fc.constantFrom(4 as const, 6 as const),
    payload: fc.nat(2000),
    tunnel: fc.constantFrom(undefined, 4 as const, 6 as const),
  });
  const small = fc.nat(140);
  const change: fc.Arbitrary<Partial<GiantHeader>> = fc.oneof(
    fc.record({ flags: fc.nat(255) }),
    fc.record({ gsoType: fc.nat(255) }),
    fc.record({ gsoSize: fc.nat(40) }),
    fc.record({ hdrLen: fc.nat(65535) }),
    fc.record({ csumStart: small }),
    fc.record({ csumOffset: fc.nat(20) }),
    fc.record({ outerThOffset: small }),
    fc.record({ innerNhOffset: small }),
  );
  const changes = fc.array(change, { maxLength: 2 });
  const damage = fc.array(fc.tuple(fc.nat(140), fc.nat(255)), { maxLength: 2 });
  let [delivered, dropped] = [0, 0];
  fc.assert(
    fc.property(wanted, changes, damage, fc.array(fc.nat(400), { maxLength: 4 }), (kind, changed, bytes, cuts) => {
      const { tunnel, ...rest } = kind;
      const made = giant(tunnel === undefined || kind.type === GSO.UDP ? rest : { ...rest, tunnel });
      for (const [at, value] of bytes) made.bytes[at] = value;
      const frame = Object.assign(frameOf(memory, FRAMES, made.bytes, cuts), made.fields, ...changed);
      const engine = new OffloadEngine(memory, AREA);
      const before = memory.u8.slice(0, AREA);
      const sink = new ScriptedBackend();
      const answer = finishFrame(engine, frame, sink);
      expect(Buffer.compare(memory.u8.subarray(0, AREA), before)).toBe(0);
      expect(sink.frames.length).toBeLessThanOrEqual(MAX_SEGMENTS);
      const faults = engine.counters.faults.reduce((sum, count) => sum + count, 0);
      expect(faults).toBe(answer === DELIVERED.DROPPED ? 1 : 0);
      expect(sink.frames.length > 0).toBe(answer === DELIVERED.ACCEPTED);
      for (const { bytes: out } of sink.frames) expect(out.length).toBeLessThanOrEqual(made.bytes.length + 8);
      if (answer === DELIVERED.ACCEPTED) delivered++;
      else dropped++;
    }),
    { numRuns: 1500 },
  );
  // Both ways are taken often enough to mean something.
  expect(Math.min(delivered, dropped)).toBeGreaterThan(100);
});
