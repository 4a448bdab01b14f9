import { DELIVERED, type Delivered, type Frame, type FrameSink, type NetBackend } from '@ringwire/net-backend';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';
import { isChecksummed, tcp4, udp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;

/** What leaves comes in again, within the same call. */
class Reflector implements NetBackend {
  device: FrameSink | undefined = undefined;
  frames = 0;

  get offloads(): number {
    return this.device?.offloads ?? 0;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(frame: Frame): Delivered {
    this.frames++;
    return this.device?.receive(frame) ?? DELIVERED.DROPPED;
  }

  pump(): number {
    return 0;
  }
}

/** A bench whose backend sends everything back to its own device. */
function reflected(
  layout: (typeof LAYOUTS)[number],
  features: readonly number[],
): { bench: NetBench; reflector: Reflector } {
  const bench = new NetBench(layout, features, { size: 64 });
  const reflector = new Reflector();
  reflector.attach(bench.device.sink);
  bench.backend.onFrame = (frame) => void reflector.receive(frame);
  return { bench, reflector };
}

describe.each(LAYOUTS)('%s: a device that sends to itself', (layout) => {
  test('TX-28: one frame in is at most one frame out, and the step ends', () => {
    const { bench, reflector } = reflected(layout, []);
    const posted = Array.from({ length: 8 }, () => bench.post([200]));
    for (let i = 0; i < 5; i++) bench.transmit([plainHeader(), frameOf(60, i)]);
    bench.step();
    expect(reflector.frames).toBe(5);
    const used = bench.collect(0);
    expect(used.map(({ written }) => written)).toEqual([72, 72, 72, 72, 72]);
    expect(used.map((_, i) => bench.read(posted[i]!.ranges).subarray(12, 72))).toEqual(
      [0, 1, 2, 3, 4].map((i) => frameOf(60, i)),
    );
    expect(bench.step()).toBe(0);
  });

  test('TX-29: a short frame comes back as short as it was: nothing is padded', () => {
    const { bench } = reflected(layout, []);
    const { ranges } = bench.post([200]);
    const since = bench.snapshot();
    bench.transmit([plainHeader(), frameOf(20)]);
    bench.step();
    expect(bench.collect(0)).toMatchObject([{ written: 32 }]);
    const behind = [{ gpa: ranges[0]!.gpa + 32, length: 168 }];
    expect(bench.guest.changes(since).some(({ gpa }) => gpa >= behind[0]!.gpa && gpa < behind[0]!.gpa + 168)).toBe(
      false,
    );
  });

  test('a buffer that is transmitted and posted at once ends in no exception, and in its own memory', () => {
    const { bench } = reflected(layout, [F.MRG_RXBUF]);
    const gpa = bench.take(200, 4);
    bench.guest.write(gpa, join(plainHeader(), frameOf(100)));
    bench.offer(0, [], [{ gpa, length: 200 }]);
    bench.offer(1, [{ gpa, length: 112 }]);
    const since = bench.snapshot();
    bench.step();
    expect(bench.changedOutside(since, [{ gpa, length: 112 }])).toEqual([]);
  });
});

const TX_FEATURES = [F.CSUM, F.HOST_TSO4, F.HOST_USO];
const RX_FEATURES = [F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_USO4, F.GUEST_USO6];

interface Case {
  readonly layout: (typeof LAYOUTS)[number];
  readonly features: readonly number[];
  readonly offloads: boolean;
  readonly packets: readonly { kind: 'plain' | 'tcp' | 'udp'; bytes: number; cuts: readonly number[] }[];
  readonly buffers: readonly (readonly number[])[];
}

const piece = fc.integer({ min: 1, max: 3000 });
const cases: fc.Arbitrary<Case> = fc.record({
  layout: fc.constantFrom(...LAYOUTS),
  features: fc
    .record({
      rest: fc.subarray([F.MRG_RXBUF, F.HASH_REPORT, F.OUT_NET_HEADER, VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX]),
      inOrder: fc.boolean(),
      csum: fc.boolean(),
    })
    .map(({ rest, inOrder, csum }) => [...rest, ...(inOrder ? [VIRTIO_F.IN_ORDER] : []), ...(csum ? RX_FEATURES : [])]),
  offloads: fc.boolean(),
  packets: fc.array(
    fc.record({
      kind: fc.constantFrom('plain' as const, 'tcp' as const, 'udp' as const),
      bytes: fc.integer({ min: 14, max: 1480 }),
      cuts: fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  buffers: fc.array(fc.array(piece, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 12 }),
});

/** Cut bytes into pieces of these lengths, the rest being the last. */
function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    if (at + length >= bytes.length) break;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [...pieces, bytes.subarray(at)];
}

const headerBytesOf = (features: readonly number[]): number =>
  features.includes(F.OUT_NET_HEADER) ? 32 : features.includes(F.HASH_REPORT) ? 20 : 12;

test('random features, frames and chains: what leaves arrives, whole and in order, and nothing else is touched', () => {
  fc.assert(
    fc.property(cases, ({ layout, features, offloads, packets, buffers }) => {
      const { bench } = reflected(layout, [...TX_FEATURES, ...features]);
      bench.backend.offloads = offloads ? bench.device.sink.offloads : 0;
      const headerBytes = headerBytesOf(features);
      const posted = buffers.map((lengths) => bench.post(lengths.map((length) => length + headerBytes)));
      const sent = packets.map(({ kind, bytes, cuts }) => {
        const header = new Uint8Array(headerBytes);
        let frame = frameOf(bytes);
        if (kind !== 'plain') {
          frame =
            kind === 'tcp'
              ? tcp4({ checksum: 'offloaded', payload: bytes })
              : udp4({ checksum: 'offloaded', payload: bytes });
          header.set(hex(kind === 'tcp' ? '01 01 0000 0001 2200 1000' : '01 05 0000 0001 2200 0600'));
        }
        bench.transmit(cut(join(header, frame), cuts));
        return { kind, frame };
      });
      const since = bench.snapshot();
      bench.step();
      const used = bench.collect(0);
      const bytes = used.map(({ id, written }) => {
        const { ranges } = posted.find((buffer) => buffer.id === id)!;
        return { ranges, packet: bench.read(ranges).subarray(0, written) };
      });
      const allowed = bytes.flatMap(({ ranges, packet }) => prefixOf(ranges, packet.length));
      expect(bench.changedOutside(since, allowed)).toEqual([]);
      const received = assemble(
        bytes.map(({ packet }) => packet),
        headerBytes,
      );
      expect(received.every(isGood)).toBe(true);
      // What arrived is what was sent, from the first on: buffers may have run out, and frames not have fitted.
      const payload = (frames: readonly { frame: Uint8Array }[]): string =>
        frames.map(({ frame }) => payloadOf(frame)).join('');
      if (Object.keys(bench.drops()).length === 0) expect(payload(received)).toBe(payload(sent));
      expect(bench.collect(1).length).toBe(packets.length);
      return true;
    }),
    { numRuns: 80, endOnFailure: true },
  );
});

/** The ranges that hold a buffer's first `length` bytes. */
function prefixOf(
  ranges: readonly { gpa: number; length: number }[],
  length: number,
): { gpa: number; length: number }[] {
  const prefix: { gpa: number; length: number }[] = [];
  let left = length;
  for (const { gpa, length: room } of ranges) {
    prefix.push({ gpa, length: Math.min(room, left) });
    left -= Math.min(room, left);
  }
  return prefix;
}

/** Frames out of used buffers: `num_buffers` says how many make one. */
function assemble(packets: readonly Uint8Array[], headerBytes: number): { header: Uint8Array; frame: Uint8Array }[] {
  const frames: { header: Uint8Array; frame: Uint8Array }[] = [];
  for (let i = 0; i < packets.length; ) {
    const count = packets[i]![10]! | (packets[i]![11]! << 8);
    const whole = join(...packets.slice(i, i + count));
    frames.push({ header: whole.subarray(0, headerBytes), frame: whole.subarray(headerBytes) });
    i += count;
  }
  return frames;
}

const isIp = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 0;

/** A frame without NEEDS_CSUM is complete. */
function isGood({ header, frame }: { header: Uint8Array; frame: Uint8Array }): boolean {
  return (header[0]! & 1) === 1 || !isIp(frame) || isChecksummed(frame);
}

/** What of a frame does not change when it is cut up. */
function payloadOf(frame: Uint8Array): string {
  const from = !isIp(frame) ? 14 : frame[23] === 6 ? 54 : 42;
  return Array.from(frame.subarray(from), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
