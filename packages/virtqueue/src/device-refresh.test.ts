import { ACCESS, type AddressSpace, GuestMemory, HostMemory, RESOLVE } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { ChainBurst } from './chain-burst.js';
import { openDeviceQueue, openDriverQueue } from './open-queue.js';
import { RING_FAULT } from './queue-fault.js';
import { isRefusal } from './queue-layout.js';

/** A guest whose RAM can be moved on the host, or taken away, under a running queue. */
class MovingSpace implements AddressSpace {
  readonly memory: HostMemory;
  host = 0;
  isMapped = true;
  constructor(memory: HostMemory) {
    this.memory = memory;
  }
  enter(): number {
    return 0;
  }
  leave(): void {}
  resolve(address: number, length: number): number {
    return this.isMapped && address + length <= 0x8000 ? this.host + address : RESOLVE.FAULT;
  }
  resolveRanges(): boolean {
    return false;
  }
}

const AREAS = { size: 4, desc: 0, driver: 0x1000, device: 0x2000 };

test.each([
  ['split', []],
  ['packed', [VIRTIO_F.RING_PACKED]],
])('%s: a queue goes on where its ring was moved to, and stops when the ring is out of reach', (_, layout) => {
  const memory = HostMemory.create(0x1_0000);
  const space = new MovingSpace(memory);
  const features = featureWords([VIRTIO_F.VERSION_1, ...layout]);
  const queue = openDeviceQueue({ space, ...AREAS, features });
  if (isRefusal(queue)) throw new Error(queue.message);
  const burst = new ChainBurst(4);

  memory.u8.copyWithin(0x8000, 0, 0x8000);
  space.host = 0x8000;
  const moved = new GuestMemory(memory, [{ gpa: 0, size: 0x8000, host: 0x8000 }]);
  const driver = openDriverQueue({ space: moved, ...AREAS, features });
  driver.addReadable(0x3000, 64);
  driver.publish();
  expect(queue.takeBurst(burst, 4)).toBe(0);
  expect(queue.refresh()).toBe(true);
  expect(queue.takeBurst(burst, 4)).toBe(1);
  expect(burst.segments.offset[0]).toBe(0xb000);

  space.isMapped = false;
  expect(queue.refresh()).toBe(false);
  expect(queue.ringFault).toBe(RING_FAULT.UNREACHABLE);
  expect(queue.counters.ringFaults[RING_FAULT.UNREACHABLE]).toBe(1);
  const before = memory.u8.slice();
  queue.putUsedBurst(burst, 0, 1);
  queue.publishUsed();
  expect(queue.takeBurst(burst, 3)).toBe(0);
  expect(memory.u8).toEqual(before);
  expect(moved.resolve(0, 1, ACCESS.READ)).toBe(0x8000);
});

test.each([
  ['split', []],
  ['packed', [VIRTIO_F.RING_PACKED]],
])('%s: a queue in memory whose owner replaced its buffer goes on in the new one', (_, layout) => {
  const memory = HostMemory.wrap(new ArrayBuffer(0x8000));
  const space = new MovingSpace(memory);
  const features = featureWords([VIRTIO_F.VERSION_1, ...layout]);
  const queue = openDeviceQueue({ space, ...AREAS, features });
  if (isRefusal(queue)) throw new Error(queue.message);
  memory.rewrap(structuredClone(memory.u8.buffer, { transfer: [memory.u8.buffer as ArrayBuffer] }));
  const driver = openDriverQueue({ space: new MovingSpace(memory), ...AREAS, features });
  driver.addReadable(0x3000, 64);
  driver.publish();
  expect(queue.refresh()).toBe(true);
  const burst = new ChainBurst(4);
  expect(queue.takeBurst(burst, 4)).toBe(1);
  queue.putUsedBurst(burst, 0, 1);
  queue.publishUsed();
  expect(driver.hasUsed()).toBe(true);
});
