import { NET_DROP } from '@ringwire/virtio-device';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBreakdown } from './breakdown.js';
import { FrameBurst, FramePool } from './frame-pool.js';
import { openPollDriver, type PollNetDriver } from './poll-driver.js';
import { RealStage, STATION } from './testing/real-stage.js';
import { tcpFrame, withoutTcpSums } from './testing/tcp-frame.js';

const RINGS = [
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.NOTIFICATION_DATA,
];
const NETS = [
  VIRTIO_NET_F.MRG_RXBUF,
  VIRTIO_NET_F.CSUM,
  VIRTIO_NET_F.GUEST_CSUM,
  VIRTIO_NET_F.CTRL_VQ,
  VIRTIO_NET_F.HASH_REPORT,
  VIRTIO_NET_F.GUEST_HDRLEN,
];

/** One step of a schedule: so many frames out, the device's turn with so large a budget, so many frames in. */
const turn = fc.record({
  out: fc.nat(6),
  budget: fc.integer({ min: 1, max: 32 }),
  back: fc.integer({ min: 1, max: 40 }),
});

/**
 * Take frames, each of which has to be one that was sent, in their order; the IP header's identification is its number.
 * @returns one more than the number of the last one
 */
function receive(
  driver: PollNetDriver,
  pool: FramePool,
  back: FrameBurst,
  most: number,
  sent: readonly Uint8Array[],
  next: number,
): number {
  driver.rxBurst(0, back, most);
  let expected = next;
  for (let i = 0; i < back.count; i++) {
    const bytes = pool.read(back.frame[i]!);
    const number = (bytes[18]! << 8) | bytes[19]!;
    expect(number).toBeGreaterThanOrEqual(expected);
    expect(withoutTcpSums(bytes)).toEqual(withoutTcpSums(sent[number]!));
    expected = number + 1;
    pool.put(back.frame[i]!);
  }
  back.clear();
  return expected;
}

test('poll-mode: with random features, sizes and schedules, what comes is what was sent, in its order, and nothing is lost but what the device dropped', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('mmio' as const, 'pci' as const),
      fc.subarray(RINGS),
      fc.subarray(NETS),
      fc.constantFrom(16, 64, 256),
      fc.array(fc.integer({ min: 6, max: 1400 }), { minLength: 1, maxLength: 60 }),
      fc.array(turn, { minLength: 1, maxLength: 20 }),
      (transport, offer, features, queueSize, payloads, schedule) => {
        const stage = new RealStage({ transport, offer, device: { features: [VIRTIO_NET_F.MAC, ...features] } });
        const pool = new FramePool(stage.dma, {
          buffers: 600,
          dataBytes: features.includes(VIRTIO_NET_F.MRG_RXBUF) ? 256 : 2176,
        });
        const driver = openPollDriver({ transport: stage.transport, dma: stage.dma, pool, queueSize });
        if (isBreakdown(driver)) throw new Error(driver.message);
        const isPartial = hasFeature(driver.features, VIRTIO_NET_F.CSUM);
        const sent = payloads.map((payload, i) => tcpFrame(STATION, payload, i, isPartial));
        const out = new FrameBurst(64);
        const back = new FrameBurst(64);
        let next = 0;
        let expected = 0;
        // A frame for which some buffers are missing is dropped by the device, and counted.
        const done = (): number => driver.counters.rxFrames + stage.net.drops[NET_DROP.RX_NO_BUFFER]!;
        for (let turns = 0; done() < sent.length && turns < 2000; turns++) {
          const {
            out: wanted,
            budget,
            back: most,
          } = turns < 400 ? schedule[turns % schedule.length]! : { out: 4, budget: 32, back: 40 };
          for (let i = 0; i < wanted && next < sent.length && out.count < 32; i++, next++) {
            const first = pool.fill(sent[next]!);
            if (first < 0) break;
            if (isPartial) {
              pool.setOffload(first, 1, 0);
              pool.csumStart[first] = 34;
              pool.csumOffset[first] = 16;
            }
            out.push(first, sent[next]!.length);
          }
          const taken = driver.txBurst(0, out);
          out.frame.copyWithin(0, taken, out.count);
          out.length.copyWithin(0, taken, out.count);
          out.count -= taken;
          stage.turn(undefined, budget);
          expected = receive(driver, pool, back, most, sent, expected);
        }
        expect(done()).toBe(sent.length);
        if (!features.includes(VIRTIO_NET_F.MRG_RXBUF)) expect(driver.counters.rxFrames).toBe(sent.length);
        expect(driver.check()).toBeUndefined();
        driver.close();
        pool.close();
        expect(stage.pages.inUse).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});
