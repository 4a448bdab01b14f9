import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Frame } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { finishFrame, OffloadEngine } from './offload-engine.js';
import { frameOf } from './testing/frames.js';
import { hex } from './testing/hex.js';
import { counting, ethernet, ipv4, ipv6, join, udp } from './testing/packets.js';
import { referenceSum } from './testing/reference.js';
import { reassemble } from './testing/reference-segments.js';

const memory = HostMemory.create(0x4_0000);
const AREA = 0x3_0000;
const FRAMES = 0x1_0000;

/** @param start offset of the UDP header */
function ufo(bytes: Uint8Array, start: number, gsoSize: number, cuts: readonly number[] = []): Frame {
  const fields = {
    flags: VIRTIO_NET_HDR_F.NEEDS_CSUM,
    gsoType: VIRTIO_NET_HDR_GSO.UDP,
    gsoSize,
    csumStart: start,
    csumOffset: 6,
  };
  return Object.assign(frameOf(memory, FRAMES, bytes, cuts), fields);
}

function fragments(frame: Frame, engine = new OffloadEngine(memory, AREA)): Uint8Array[] {
  const sink = new ScriptedBackend();
  expect(finishFrame(engine, frame, sink)).toBe(DELIVERED.ACCEPTED);
  return sink.bytes;
}

const PAYLOAD = 3000;
const open = udp(4, counting(PAYLOAD), 9, 'partial');
const whole = udp(4, counting(PAYLOAD), 9);
const open6 = udp(6, counting(PAYLOAD), 9, 'partial');
const whole6 = udp(6, counting(PAYLOAD), 9);

describe('fragments of a datagram over IPv4', () => {
  test('put together are the datagram with its checksum, for any size and ranges', () => {
    const sizes = fc.integer({ min: 8, max: 3200 });
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(900), { maxLength: 6 }), (size, cuts) => {
        const made = fragments(ufo(ethernet(0x0800, ipv4(17, open)), 34, size, cuts));
        expect(Buffer.compare(reassemble(made, 14, 4, 34), whole)).toBe(0);
        for (const [index, bytes] of made.entries()) {
          expect(bytes.length - 34).toBeLessThanOrEqual(size);
          expect((bytes[16]! << 8) | bytes[17]!).toBe(bytes.length - 14);
          expect(referenceSum(bytes.subarray(14, 34))).toBe(0xffff);
          expect([...bytes.subarray(18, 20)]).toEqual([0x12, 0x34]);
          if (index < made.length - 1) expect((bytes.length - 34) % 8).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('RFC 791 §3.1: carry the options that are to be copied; the others stay with the first', () => {
    // Router alert (copied), record route (not copied), end of list.
    const options = hex`94040000 07070400000000 00`;
    const made = fragments(ufo(ethernet(0x0800, ipv4(17, open, { options: [...options] })), 46, 1480));
    expect(made).toHaveLength(3);
    expect(made.map((bytes) => bytes.subarray(34, 46))).toEqual([
      options,
      hex`94040000 01010101010101 00`,
      hex`94040000 01010101010101 00`,
    ]);
    for (const bytes of made) expect(referenceSum(bytes.subarray(14, 46))).toBe(0xffff);
  });

  test('are not needed for one that fits: it stays whole', () => {
    const [bytes, ...others] = fragments(ufo(ethernet(0x0800, ipv4(17, open)), 34, PAYLOAD + 8));
    expect(others).toEqual([]);
    expect(bytes).toEqual(ethernet(0x0800, ipv4(17, whole)));
  });
});

describe('fragments of a datagram over IPv6', () => {
  test('put together are the datagram with its checksum, for any size and ranges', () => {
    const sizes = fc.integer({ min: 8, max: 3200 });
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(900), { maxLength: 6 }), (size, cuts) => {
        const made = fragments(ufo(ethernet(0x86dd, ipv6(17, open6)), 54, size, cuts));
        if (made.length === 1) {
          expect(made[0]).toEqual(ethernet(0x86dd, ipv6(17, whole6)));
          return;
        }
        expect(Buffer.compare(reassemble(made, 14, 6, 54), whole6)).toBe(0);
        for (const bytes of made) {
          expect((bytes[18]! << 8) | bytes[19]!).toBe(bytes.length - 54);
          expect([bytes[20], bytes[54], bytes[55]]).toEqual([44, 17, 0]);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('have the identification of their datagram, and the next datagram has another', () => {
    const engine = new OffloadEngine(memory, AREA);
    const ids = (): Set<string> =>
      new Set(
        fragments(ufo(ethernet(0x86dd, ipv6(17, open6)), 54, 1000), engine).map((bytes) => `${bytes.subarray(58, 62)}`),
      );
    const [first, second] = [ids(), ids()];
    expect([first.size, second.size]).toEqual([1, 1]);
    expect(first).not.toEqual(second);
  });

  test('RFC 8200 §4.5: repeat hop-by-hop options; destination options behind them are part of what is cut', () => {
    const hopByHop = hex`3c 00 0104 00000000`;
    const destination = hex`11 00 0104 00000000`;
    const packet = ipv6(0, join(hopByHop, destination, open6));
    const made = fragments(ufo(ethernet(0x86dd, packet), 70, 1200));
    for (const bytes of made) {
      expect(bytes[20]).toBe(0);
      // The hop-by-hop header names the fragment header, that the destination options.
      expect([...bytes.subarray(54, 62)]).toEqual([44, ...hopByHop.subarray(1)]);
      expect(bytes[62]).toBe(60);
    }
    expect(Buffer.compare(reassemble(made, 14, 6, 62), join(destination, whole6))).toBe(0);
  });
});
