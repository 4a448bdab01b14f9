import { HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import { BufferList, ChainBurst, type DeviceQueue, type DriverQueue, isRefusal } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import { openLoopedDeviceQueue, openLoopedDriverQueue } from './open-looped-queue.js';
import { privateArrays } from './private-arrays.js';

const SIZE = 8;
/** Of bursts: their tokens fill a piece of the private area, and what lies behind is another array's. */
const ROOM = 32;

interface Stage {
  readonly memory: HostMemory;
  readonly driver: DriverQueue;
  readonly device: DeviceQueue;
  readonly burst: ChainBurst;
  /** As many buffers of 64 bytes, which the device reads. */
  readonly offer: (count: number) => void;
}

function stageOf(bits: readonly number[]): Stage {
  const memory = HostMemory.create(0x1_0000);
  const features = featureWords([VIRTIO_F.VERSION_1, ...bits]);
  const ring = { space: new IdentitySpace(memory), size: SIZE, desc: 0, driver: 0x1000, device: 0x2000, features };
  const driver = openLoopedDriverQueue(ring);
  const device = openLoopedDeviceQueue(ring);
  if (isRefusal(device)) throw new Error(device.message);
  const arrays = privateArrays(memory);
  const offer = (count: number): void => {
    const list = new BufferList(ROOM, arrays);
    for (let i = 0; i < count; i++) list.addReadable(0x4000 + i * 64, 64);
    driver.addBurst(list);
    driver.publish();
  };
  return { memory, driver, device, burst: new ChainBurst(ROOM, arrays), offer };
}

const KINDS = [
  ['split', []],
  ['split, in order', [VIRTIO_F.IN_ORDER]],
  ['packed', [VIRTIO_F.RING_PACKED]],
  ['packed, in order', [VIRTIO_F.RING_PACKED, VIRTIO_F.IN_ORDER]],
] as const;

describe.each(KINDS)('a caller’s mistake with queues in WebAssembly throws as it does in JavaScript: %s', (_, bits) => {
  test('a token of another queue, beyond this one’s tables', () => {
    const { memory, device, burst, offer } = stageOf(bits);
    // What lies behind the tables looks like chains in flight.
    const behind = privateArrays(memory).u32(4096).fill(0x1_0001);
    offer(1);
    device.takeBurst(burst, 1);
    for (let token = SIZE; token < 2 * behind.length; token++) {
      burst.token[0] = token;
      expect(() => device.putUsedBurst(burst, 0, 1)).toThrow(VirtioError);
    }
    expect([device.inFlight, behind.every((word) => word === 0x1_0001)]).toEqual([1, true]);
  });

  test('a chain behind the burst', () => {
    const { memory, device, burst, offer } = stageOf(bits);
    const empty = new ChainBurst(ROOM, privateArrays(memory));
    offer(1);
    device.takeBurst(burst, 1);
    // There are zeros there, and chain 0 is in flight.
    expect(() => device.putUsedBurst(empty, ROOM, 1)).toThrow(VirtioError);
    expect(device.inFlight).toBe(1);
  });

  test('more buffers than the list has room for', () => {
    const { driver, device, memory } = stageOf(bits);
    const list = new BufferList(ROOM, privateArrays(memory));
    list.addReadable(0x4000, 64);
    list.count = ROOM + 1;
    expect(() => driver.addBurst(list)).toThrow(VirtioError);
    expect([driver.outstanding, device.hasAvailable()]).toEqual([0, false]);
  });
});
