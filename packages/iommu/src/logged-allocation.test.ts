import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  ChainBurst,
  isRefusal,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  UsedBurst,
} from '@ringwire/virtqueue';
import { expect, test } from 'vitest';
import { DirtyLog } from './dirty-log.js';
import { LoggedQueue } from './logged-queue.js';

const SIZE = 256;
const BURST = 32;
const ROUNDS = 20;
const BURSTS = 1000;
const WARM = 4;
const RAM = { gpa: 0x10_0000, size: 0x10_0000, host: 0x4_0000 };
/** To the log the same memory is above 2^32, where a number is no small integer to V8. */
const LOGGED = { ...RAM, gpa: 0x1_0000_0000 };

test.each(['split', 'packed'])('%s: buffers are used and logged without an allocation per buffer', (layout) => {
  const memory = HostMemory.create(0x20_0000);
  const space = new GuestMemory(memory, [RAM]);
  const features = featureWords([VIRTIO_F.VERSION_1, ...(layout === 'packed' ? [VIRTIO_F.RING_PACKED] : [])]);
  const { gpa } = RAM;
  const config: QueueConfig = { space, size: SIZE, desc: gpa, driver: gpa + 0x2000, device: gpa + 0x3000, features };
  const driver = openDriverQueue(config);
  const inner = openDeviceQueue(config);
  if (isRefusal(inner)) throw new Error(inner.message);
  const log = new DirtyLog({ memory, base: 0, bytes: 0x2_0000 + 0x20, regions: [LOGGED] });
  const queue = new LoggedQueue(inner, config, log, { ring: true, deviceAt: LOGGED.gpa + 0x3000 });
  const burst = new ChainBurst(BURST);
  const used = new UsedBurst(BURST);
  const bursts = (): void => {
    for (let n = 0; n < BURSTS; n++) {
      for (let i = 0; i < BURST; i++) driver.addWritable(gpa + 0x1_0000 + i * 0x800, 0x800);
      driver.publish();
      burst.clear();
      queue.takeBurst(burst, BURST);
      for (let i = 0; i < BURST; i++) burst.written[i] = 64;
      queue.putUsedBurst(burst, 0, BURST);
      queue.publishUsed();
      used.clear();
      driver.takeUsed(used, BURST);
    }
  };
  for (let round = 0; round < WARM; round++) bursts();
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let round = 0; round < ROUNDS; round++) {
    bursts();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  expect(queue.counters.used).toBe((ROUNDS + WARM) * BURSTS * BURST);
  expect(log.beyond + log.outside).toBe(0);
  // The smallest object has 12 bytes.
  expect(taken / (ROUNDS * BURSTS * BURST)).toBeLessThan(2);
});
