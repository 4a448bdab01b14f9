import { VIRTIO_F, VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { isBreakdown } from './breakdown.js';
import { FrameBurst, FramePool } from './frame-pool.js';
import { type NetDriver, openNetDriver } from './net-driver.js';
import { SENT } from './net-tx-queue.js';
import { openPollDriver } from './poll-driver.js';
import { frameOf } from './testing/net-stage.js';
import { type RealOptions, RealStage, STATION } from './testing/real-stage.js';

const SPLIT = Object.values(VIRTIO_F).filter(
  (bit) => bit !== VIRTIO_F.RING_PACKED && bit !== VIRTIO_F.SR_IOV && bit !== VIRTIO_F.ADMIN_VQ,
);
const PACKED = [...SPLIT, VIRTIO_F.RING_PACKED];
const WAYS: readonly [string, RealOptions][] = [
  ['MMIO, split', { transport: 'mmio', offer: SPLIT }],
  ['MMIO, packed', { transport: 'mmio', offer: PACKED }],
  ['PCI, split', { transport: 'pci', offer: SPLIT, messages: 8 }],
  ['PCI, packed', { transport: 'pci', offer: PACKED, messages: 8 }],
  ['PCI with an interrupt line, plain ring', { transport: 'pci', offer: [] }],
];

/** To the station itself, so that its filter passes it. */
function ownFrame(length: number, seed: number): Uint8Array {
  const frame = frameOf(length, seed);
  frame.set(STATION);
  return frame;
}

describe.each(WAYS)('%s', (_, way) => {
  function start(options: Partial<RealOptions> = {}): [RealStage, NetDriver, Uint8Array[]] {
    const stage = new RealStage({ ...way, ...options });
    const heard: Uint8Array[] = [];
    const driver = openNetDriver({
      transport: stage.transport,
      dma: stage.dma,
      messages: stage.messages,
      now: () => stage.time,
      pairs: 4,
      queueSize: 64,
      events: { frame: (frame) => heard.push(frame.bytes()) },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    stage.settle(driver);
    return [stage, driver, heard];
  }

  test('frames go through driver, device, cable and back', () => {
    const [stage, driver, heard] = start();
    const frames = Array.from({ length: 300 }, (__, i) => ownFrame(60 + ((i * 37) % 1400), i));
    for (const frame of frames) {
      while (driver.sendBytes(frame) !== SENT.OK) stage.settle(driver);
      if (heard.length % 3 === 0) stage.turn(driver);
    }
    stage.settle(driver);
    expect(heard).toEqual(frames);
    expect([driver.counters.rxFrames, driver.counters.txFrames, driver.state]).toEqual([300, 300, 'running']);
  });

  test('the device is given back and taken again', () => {
    const [stage, driver] = start();
    driver.sendBytes(ownFrame(100, 1));
    driver.close();
    expect(stage.pages.inUse).toBe(0);
    expect(stage.device.status).toBe(0);
  });

  test('several queue pairs carry frames, after the command that enables them', () => {
    const [stage, driver, heard] = start({ device: { pairs: 4 } });
    expect(driver.activePairs).toBe(4);
    for (let i = 0; i < 40; i++) expect(driver.sendBytes(ownFrame(100, i), undefined, i % 4)).toBe(SENT.OK);
    stage.settle(driver);
    expect(heard).toHaveLength(40);
  });

  test('commands reach the device and are obeyed', () => {
    const [stage, driver, heard] = start();
    const outcomes: number[] = [];
    const note = (outcome: number): void => void outcomes.push(outcome);
    const other = ownFrame(100, 1);
    other.set([2, 0, 0, 0, 0, 9]);
    driver.sendBytes(other);
    stage.settle(driver);
    expect(heard).toHaveLength(0);
    driver.commands!.setRxMode('PROMISC', true, note);
    stage.settle(driver);
    driver.sendBytes(other);
    stage.settle(driver);
    expect([heard.length, outcomes]).toEqual([1, [0]]);
    const types: string[] = [];
    driver.commands!.stats.query((__, named) => types.push(...named));
    stage.settle(driver);
    expect(types).toContain('RX_BASIC');
    const replies: unknown[] = [];
    driver.commands!.stats.get([{ index: 1, types: ['TX_BASIC'] }], (__, stats) => replies.push(...stats));
    stage.settle(driver);
    expect(replies).toMatchObject([{ index: 1, type: 'TX_BASIC', counters: { tx_packets: 2n } }]);
  });

  test('the poll-mode driver sends and receives in bursts', () => {
    for (const features of [undefined, 'plain'] as const) {
      const stage = new RealStage({
        ...way,
        ...(features === 'plain' ? { device: { features: [VIRTIO_NET_F.MAC] } } : {}),
      });
      const pool = new FramePool(stage.dma, { buffers: 512 });
      const driver = openPollDriver({ transport: stage.transport, dma: stage.dma, pool, queueSize: 128 });
      if (isBreakdown(driver)) throw new Error(driver.message);
      const out = new FrameBurst(32);
      const back = new FrameBurst(32);
      const heard: Uint8Array[] = [];
      const frames = Array.from({ length: 400 }, (__, i) => ownFrame(60 + ((i * 37) % 1400), i));
      let next = 0;
      for (let turns = 0; turns < 5000 && heard.length < frames.length; turns++) {
        for (; next < frames.length && out.count < 8; next++) out.push(pool.fill(frames[next]!), frames[next]!.length);
        const sent = driver.txBurst(0, out);
        out.frame.copyWithin(0, sent, out.count);
        out.length.copyWithin(0, sent, out.count);
        out.count -= sent;
        stage.turn(undefined);
        driver.rxBurst(0, back);
        for (let i = 0; i < back.count; i++) {
          heard.push(pool.read(back.frame[i]!));
          pool.put(back.frame[i]!);
        }
        back.clear();
      }
      expect(heard).toEqual(frames);
      expect(driver.check()).toBeUndefined();
      driver.close();
      expect(pool.free).toBe(512);
    }
  });
});
