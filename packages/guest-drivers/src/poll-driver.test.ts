import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { BREAK, isBreakdown } from './breakdown.js';
import { guestDma } from './dma-memory.js';
import { FrameBurst, FramePool, LAST } from './frame-pool.js';
import { openPollDriver, type PollNetDriver, type PollSetup } from './poll-driver.js';
import { frameOf, NetStage, type StageOptions, WAYS, withHeader } from './testing/net-stage.js';
import { RawUsed } from './testing/raw-used.js';

const { MRG_RXBUF, GUEST_CSUM, CSUM, HOST_TSO4, MAC, STATUS, CTRL_VQ, MQ } = VIRTIO_NET_F;

interface PollStage {
  readonly stage: NetStage;
  readonly pool: FramePool;
  readonly driver: PollNetDriver;
  readonly burst: FrameBurst;
}

function start(options: StageOptions, poolBytes?: number, setup: Partial<PollSetup> = {}): PollStage {
  const stage = new NetStage(options);
  const pool = new FramePool(
    stage.setup.dma,
    poolBytes === undefined ? { buffers: 64 } : { buffers: 64, dataBytes: poolBytes },
  );
  const { transport, dma } = stage.setup;
  const driver = openPollDriver({ transport, dma, pool, patience: { tries: 8 }, ...setup });
  if (isBreakdown(driver)) throw new Error(driver.message);
  return { stage, pool, driver, burst: new FrameBurst(64) };
}

/** Frames of a burst as bytes; they go back into the pool. */
function read(pool: FramePool, burst: FrameBurst): Uint8Array[] {
  const frames = Array.from(burst.frame.subarray(0, burst.count), (frame) => {
    const bytes = pool.read(frame);
    pool.put(frame);
    return bytes;
  });
  burst.clear();
  return frames;
}

describe.each(WAYS)('%s', (_, way) => {
  test('frames go out in bursts, one descriptor each, and come back into the pool', () => {
    const { stage, pool, driver, burst } = start({ ...way, queueSizes: [16, 16] });
    const free = pool.free;
    for (let round = 0; round < 10; round++) {
      const frames = Array.from({ length: 10 }, (__, i) => frameOf(60 + i + round, i));
      for (const frame of frames) burst.push(pool.fill(frame), frame.length);
      expect(driver.txBurst(0, burst)).toBe(10);
      burst.clear();
      expect(stage.takeSent()).toEqual(frames.map((frame) => withHeader(frame)));
    }
    driver.reclaim(0);
    expect([pool.free, driver.counters.txFrames]).toEqual([free, 100]);
  });

  test('a ring that is full takes what it can; the others stay the caller’s', () => {
    const { pool, driver, burst } = start({ ...way, queueSizes: [16, 16] });
    for (let i = 0; i < 20; i++) burst.push(pool.fill(frameOf(60)), 60);
    expect([driver.txBurst(0, burst), driver.txBurst(0, burst, 16), driver.counters.txFull]).toEqual([16, 0, 2]);
  });

  test('frames that the device delivers come in bursts, and what is received can be sent on', () => {
    const { stage, pool, driver, burst } = start({ ...way, queueSizes: [16, 16] });
    for (let round = 0; round < 10; round++) {
      const frames = Array.from({ length: 9 }, (__, i) => frameOf(60 + i + round, i));
      for (const frame of frames) stage.deliver(withHeader(frame, { 10: 1 }));
      expect(driver.rxBurst(0, burst)).toBe(9);
      expect(driver.txBurst(0, burst)).toBe(9);
      burst.clear();
      expect(stage.takeSent()).toEqual(frames.map((frame) => withHeader(frame)));
    }
    driver.reclaim(0);
    expect(pool.free).toBeGreaterThanOrEqual(64 - 16);
  });

  test('a frame over several mergeable buffers comes as a chain, and can be sent on', () => {
    const { stage, pool, driver, burst } = start({ ...way, features: [MRG_RXBUF, VIRTIO_F.INDIRECT_DESC] }, 128);
    const frame = frameOf(500);
    // 140 bytes per buffer, header included.
    expect(stage.deliver(withHeader(frame, { 10: 4 }))).toBe(4);
    expect(driver.rxBurst(0, burst)).toBe(1);
    expect(pool.read(burst.frame[0]!)).toEqual(frame);
    expect(driver.txBurst(0, burst)).toBe(1);
    expect(stage.takeSent()).toEqual([withHeader(frame)]);
    driver.reclaim(0);
    driver.close();
    expect(pool.free).toBe(64);
  });

  test('offloads go both ways in the pool’s arrays', () => {
    const { stage, pool, driver, burst } = start({
      ...way,
      features: [GUEST_CSUM, CSUM, HOST_TSO4, VIRTIO_F.INDIRECT_DESC],
      queueSizes: [32, 32],
    });
    stage.deliver(withHeader(frameOf(100), { 0: 1, 6: 34, 8: 16, 10: 1 }));
    driver.rxBurst(0, burst);
    const [frame] = burst.frame;
    expect([pool.flagsOf(frame!), pool.csumStart[frame!], pool.csumOffset[frame!]]).toEqual([1, 34, 16]);
    burst.clear();
    const large = frameOf(5000);
    large[46] = 0x50;
    const first = pool.fill(large);
    pool.setOffload(first, 1, 1);
    pool.gsoSize[first] = 1448;
    pool.csumStart[first] = 34;
    pool.csumOffset[first] = 16;
    burst.push(first, 5000);
    expect(driver.txBurst(0, burst)).toBe(1);
    expect(stage.takeSent()).toEqual([withHeader(large, { 0: 1, 1: 1, 2: 54, 4: 0xa8, 5: 5, 6: 34, 8: 16 })]);
  });

  test('no interrupt is asked for', () => {
    const { stage, driver, pool, burst } = start({ ...way, pci: { vectors: 4 } });
    stage.deliver(withHeader(frameOf(60)));
    burst.push(pool.fill(frameOf(60)), 60);
    driver.txBurst(0, burst);
    for (const index of [0, 1]) {
      const ring = stage.device.ring(index);
      stage.chains.clear();
      ring.takeBurst(stage.chains, 1);
      ring.putUsed(stage.chains.token[0]!, 0);
      expect(ring.publishUsed()).toBe(false);
    }
    expect(stage.device.accesses(/^w (table|config_msix|queue_msix)/)).toEqual([]);
  });

  test('DR-03, DR-04: lengths that lie give their frame up, and the queue goes on', () => {
    const { stage, pool, driver, burst } = start({ ...way });
    const raw = new RawUsed(stage.device, 0);
    [0xffff_ffff, 0, 11, 25, 12 + 60].forEach((length, n) => {
      raw.put(raw.available(n), length);
    });
    expect(driver.rxBurst(0, burst)).toBe(1);
    expect([burst.length[0], driver.counters.rxTooLong, driver.counters.rxShort]).toEqual([60, 1, 3]);
    pool.put(burst.frame[0]!);
    expect(driver.check()).toBeUndefined();
  });

  test('DR-11, DR-12: num_buffers that lies, and empty buffers, lose the frame and none of its buffers', () => {
    const { stage, pool, driver, burst } = start({ ...way, features: [MRG_RXBUF], queueSizes: [16, 16] });
    const raw = new RawUsed(stage.device, 0);
    const header = (n: number, count: number): void =>
      stage.guest.write(stage.addressOf(0, n), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, count & 0xff, count >> 8));
    [0, 65535, 2, 0, 1, 3].forEach((count, n) => {
      header(n, count);
    });
    [100, 100, 100, 0, 72, 100].forEach((length, n) => {
      raw.put(raw.available(n), length);
    });
    expect(driver.rxBurst(0, burst)).toBe(1);
    const { rxNumBuffers, rxMerge, rxMissing } = driver.counters;
    expect([rxNumBuffers, rxMerge, rxMissing]).toEqual([2, 1, 1]);
    pool.put(burst.frame[0]!);
    driver.close();
    expect(pool.free).toBe(64);
  });

  test('DR-01: an id past the queue ends it, and the application learns of it', () => {
    const { stage, driver, burst } = start({ ...way });
    new RawUsed(stage.device, 0).put(0x7fff, 100);
    expect(driver.rxBurst(0, burst)).toBe(0);
    expect(driver.check()?.code).toBe(BREAK.RING);
    expect(driver.close()).toBeUndefined();
  });

  test('DR-20: a device that does not reset keeps the buffers it may still write to', () => {
    const { stage, pool, driver } = start({ ...way });
    const free = pool.free;
    stage.device.bend.set('device_status', () => 15);
    expect(driver.close()?.code).toBe(BREAK.RESET_TIMEOUT);
    expect([pool.free, stage.pages.inUse > 0]).toEqual([free, true]);
  });

  test('several pairs, their commands and the link', () => {
    const config = Uint8Array.of(2, 0, 0, 0, 0, 1, 1, 0, 2, 0);
    const options = { ...way, features: [MAC, STATUS, CTRL_VQ, MQ], config, queueSizes: [8, 8, 8, 8, 8] };
    const { stage, pool, driver, burst } = start(options, undefined, { pairs: 2 });
    burst.push(pool.fill(frameOf(60)), 60);
    expect(() => driver.txBurst(1, burst)).toThrow('pair is 1');
    expect(stage.answer(4)).toEqual([Uint8Array.of(4, 0, 2, 0)]);
    driver.pollCommands();
    expect(driver.txBurst(1, burst)).toBe(1);
    expect(stage.takeSent(3)).toHaveLength(1);
    burst.clear();
    stage.deliver(withHeader(frameOf(61)), 2);
    expect([driver.rxBurst(0, burst), driver.rxBurst(1, burst)]).toEqual([0, 1]);
    expect(read(pool, burst)).toEqual([frameOf(61)]);
    expect(driver.isLinkUp()).toBe(true);
    config[6] = 0;
    expect(driver.isLinkUp()).toBe(false);
    stage.device.status |= 64;
    expect(driver.check()?.code).toBe(BREAK.NEEDS_RESET);
  });
});

test('a pool whose buffers cannot hold the largest frame is the caller’s mistake, and leaves nothing behind', () => {
  const stage = new NetStage();
  const { transport, dma } = stage.setup;
  const pool = new FramePool(dma, { buffers: 16, dataBytes: 1024 });
  const before = stage.pages.inUse;
  expect(() => openPollDriver({ transport, dma, pool })).toThrow('dataBytes');
  expect([stage.pages.inUse, stage.device.status]).toEqual([before, 0]);
});

test('drv.net.mac-filter.2 of the poll-mode driver: an address that is not the device’s is told to it', () => {
  const { stage, driver } = start({ features: [CTRL_VQ, VIRTIO_NET_F.CTRL_RX] }, undefined, { random: () => 0.5 });
  expect(stage.answer()).toEqual([Uint8Array.of(1, 1, ...driver.mac)]);
});

test('features can be chosen', () => {
  const features = featureWords([VIRTIO_F.VERSION_1, MAC]);
  const { stage } = start({ features: [MAC, MRG_RXBUF, STATUS] }, undefined, { features });
  expect(Array.from(stage.device.driverFeatures.subarray(0, 2))).toEqual([1 << MAC, 1]);
});

describe('pool', () => {
  const memory = new GuestMemory(HostMemory.create(0x20_0000), [{ gpa: 0xffff_0000, size: 0x20_0000, host: 0 }]);
  const pages = (): PageAllocator => new PageAllocator(0xffff_0000, 0x20_0000);

  test('buffers are taken and put back in any order, and none twice', () => {
    const pool = new FramePool(guestDma(memory, pages()), { buffers: 8, dataBytes: 64 });
    const taken = Array.from({ length: 8 }, () => pool.take());
    expect([pool.take(), new Set(taken).size]).toEqual([-1, 8]);
    for (const buffer of taken.reverse()) pool.put(buffer);
    expect(pool.free).toBe(8);
  });

  test('a frame fills as many buffers as it needs, or none', () => {
    const pool = new FramePool(guestDma(memory, pages()), { buffers: 4, dataBytes: 64 });
    const frame = frameOf(200);
    const first = pool.fill(frame);
    expect([pool.read(first), pool.frameBytes(first), pool.free]).toEqual([frame, 200, 0]);
    expect(pool.fill(frameOf(60))).toBe(-1);
    pool.put(first);
    expect(pool.nextOf(pool.take())).toBe(LAST);
  });

  test('addresses go over 4 GiB, and closing frees the memory', () => {
    const allocator = pages();
    const pool = new FramePool(guestDma(memory, allocator), { buffers: 200 });
    expect([0, 199].map((buffer) => Math.floor(pool.addressOf(buffer) / 2 ** 32))).toEqual([0, 1]);
    pool.close();
    expect(allocator.inUse).toBe(0);
  });

  test('sizes that are none are the caller’s mistake', () => {
    const dma = guestDma(memory, pages());
    expect(() => new FramePool(dma, { buffers: 0 })).toThrow('buffers');
    for (const dataBytes of [0, 100, 0x4_0000])
      expect(() => new FramePool(dma, { buffers: 1, dataBytes })).toThrow('dataBytes');
  });
});

test.each(WAYS)(
  'drv.basic.init.11,.15 of the poll-mode driver over %s: receive buffers lie ready before DRIVER_OK, and are told of after it',
  (_, way) => {
    const { stage } = start({ ...way });
    const lines = stage.device
      .accesses(/^w (device_status|Status|notify|QueueNotify)/)
      .map((line) => line.replace(/notify\+0|QueueNotify/, 'notify'));
    expect(lines.slice(-2).map((line) => line.split(' ').slice(1).join(' '))).toEqual([
      expect.stringMatching(/tatus 15$/),
      'notify 0',
    ]);
  },
);
