import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { openLoopedDeviceQueue } from '@ringwire/ring-loops';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  BufferList,
  ChainBurst,
  type DeviceQueue,
  isRefusal,
  openDriverQueue,
  type QueueConfig,
  UsedBurst,
} from '@ringwire/virtqueue';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { DeviceKeeper } from './device-keeper.js';
import { KEEP, keepLayout, RECORD, STAND } from './keep-layout.js';

const SIZE = 8;
const KEEP_AT = 0x2_0000;
const RAM = { gpa: 0x4000, size: 0xc000, host: 0x4000 };
const F = VIRTIO_F;

class Killed extends Error {}

/** A driver, and one life of a kept device queue after the other: each may be ended before any store that publishes. */
class Lives {
  readonly memory: HostMemory = HostMemory.create(0x6_0000);
  readonly config: QueueConfig;
  readonly driver: ReturnType<typeof openDriverQueue>;
  readonly layout = keepLayout(KEEP_AT, [SIZE]);
  queue!: DeviceQueue;
  keeper!: DeviceKeeper;
  begun = false;
  /** Stores until the device's thread ends; Infinity for never. */
  left = Number.POSITIVE_INFINITY;

  constructor(features: readonly number[]) {
    const space = new GuestMemory(this.memory, [RAM]);
    const words = featureWords([F.VERSION_1, ...features]);
    this.config = { space, size: SIZE, desc: 0x4000, driver: 0x5000, device: 0x6000, features: words };
    this.driver = openDriverQueue(this.config);
    const store = Atomics.store as (array: Int32Array, index: number, value: number) => number;
    const count = (): void => {
      if (this.left-- === 0) throw new Killed();
    };
    const counted = (array: Int32Array, index: number, value: number): number => {
      if (Number.isFinite(this.left)) count();
      return store(array, index, value);
    };
    vi.spyOn(Atomics, 'store').mockImplementation(counted as typeof Atomics.store);
    const { engine } = this.memory;
    const copy = engine.copy.bind(engine);
    vi.spyOn(engine, 'copy').mockImplementation((to, from, bytes) => {
      if (Number.isFinite(this.left)) count();
      copy(to, from, bytes);
    });
    this.begin();
  }

  /** Another thread goes on, which may end, too. */
  begin(): void {
    this.keeper = new DeviceKeeper(this.memory, this.layout);
    const state = this.begun ? this.keeper.resume(0, this.config) : undefined;
    if (typeof state === 'string') throw new Error(state);
    const queue = openLoopedDeviceQueue(this.config, state);
    if (isRefusal(queue)) throw new Error(queue.message);
    this.queue = this.keeper.keep(0, queue, this.begun, this.config);
    this.begun = true;
  }

  /** Whatever a device does, until it is ended; then the next one begins, until one is not ended within that. */
  survive(work: () => void): void {
    for (let again = false; ; again = true) {
      try {
        if (again) this.begin();
        work();
        return;
      } catch (problem) {
        if (!(problem instanceof Killed)) throw problem;
        this.left = Number.POSITIVE_INFINITY;
      }
    }
  }
}

afterEach(() => vi.restoreAllMocks());

const FORMATS = [
  ['split', []],
  ['split, in order', [F.IN_ORDER]],
  ['packed', [F.RING_PACKED]],
  ['packed, in order', [F.RING_PACKED, F.IN_ORDER]],
] as const;

/** A run of 30 bursts, chains of 1 to 3 descriptors, of which some go back: @returns buffers as they came back, stores left */
function run(features: readonly number[], kill: number): { came: number[]; sent: number[]; left: number } {
  const lives = new Lives(features);
  lives.left = kill;
  const { driver } = lives;
  const list = new BufferList(4);
  const used = new UsedBurst(SIZE);
  const came: number[] = [];
  const sent: number[] = [];
  let next = 0;
  const collect = (): void => {
    used.clear();
    const count = driver.takeUsed(used, SIZE);
    for (let i = 0; i < count; i++) came.push(used.token[i]! * 1000 + used.written[i]!);
  };
  for (let round = 0; round < 30; round++) {
    for (let chains = 1 + (round % 3); chains > 0; chains--) {
      list.clear();
      for (let piece = 0; piece <= next % 3; piece++) list.addWritable(0x8000 + 64 * piece, 16);
      const token = driver.add(list);
      if (token < 0) break;
      sent.push(token * 1000 + 1 + (next % 16));
      next++;
    }
    const left = lives.left;
    lives.left = Number.POSITIVE_INFINITY;
    driver.publish();
    lives.left = left;
    let writtenFrom = next - (sent.length - came.length);
    lives.survive(() => {
      const { queue } = lives;
      const burst = new ChainBurst(SIZE);
      const taken = queue.takeBurst(burst, SIZE);
      // What came back already is not in flight any more: the oldest one that is not, is the first of the burst.
      writtenFrom = next - taken;
      const keeps = taken > 1 && round % 4 === 1 ? 1 : 0;
      for (let i = taken - 1; i >= taken - keeps; i--) queue.untake(burst.token[i]!);
      for (let i = 0; i < taken - keeps; i++) burst.written[i] = 1 + ((writtenFrom + i) % 16);
      // In two parts, of which the driver sees both at once.
      const first = (taken - keeps) >> 1;
      queue.putUsedBurst(burst, 0, first);
      queue.putUsedBurst(burst, first, taken - keeps - first);
      queue.publishUsed();
    });
    const stores = lives.left;
    lives.left = Number.POSITIVE_INFINITY;
    collect();
    lives.left = stores;
  }
  lives.left = Number.isFinite(lives.left) ? lives.left : -1;
  const { left } = lives;
  lives.left = Number.POSITIVE_INFINITY;
  const burst = new ChainBurst(SIZE);
  const rest = lives.queue.takeBurst(burst, SIZE);
  for (let i = 0; i < rest; i++) burst.written[i] = 1 + ((next - rest + i) % 16);
  lives.queue.putUsedBurst(burst, 0, rest);
  lives.queue.publishUsed();
  collect();
  return { came, sent, left };
}

describe.each(FORMATS)('%s', (_, features) => {
  test('a device that is ended before any store: the next one uses every buffer once, in order, whole', () => {
    let kill = 0;
    for (; ; kill++) {
      const { came, sent, left } = run(features, kill);
      expect([kill, came]).toEqual([kill, sent]);
      vi.restoreAllMocks();
      // Nobody was ended any more.
      if (left >= 0) break;
    }
    expect(kill).toBeGreaterThan(60);
  });

  test('the next one may be ended while it finds out where to go on, and so may the one behind it', () => {
    for (let first = 0; first < 40; first += 3) {
      const lives = new Lives(features);
      const burst = new ChainBurst(SIZE);
      const tokens = [0, 1, 2, 3].map(() => lives.driver.addWritable(0x8000, 16));
      lives.driver.publish();
      const work = (): void => {
        burst.clear();
        const taken = lives.queue.takeBurst(burst, SIZE);
        for (let i = 0; i < taken; i++) burst.written[i] = 5;
        lives.queue.putUsedBurst(burst, 0, taken);
        lives.queue.publishUsed();
      };
      // The life that works is ended at `first`, those that begin after it at each of their own stores.
      let again = 0;
      lives.left = first;
      for (let isDone = false; !isDone; again++) {
        try {
          if (again > 0) lives.begin();
          if (again > 0) lives.left = Number.POSITIVE_INFINITY;
          work();
          isDone = true;
        } catch (problem) {
          if (!(problem instanceof Killed)) throw problem;
          lives.left = again;
        }
      }
      lives.left = Number.POSITIVE_INFINITY;
      const used = new UsedBurst(SIZE);
      const count = lives.driver.takeUsed(used, SIZE);
      expect([...used.token.subarray(0, count)]).toEqual(tokens);
      expect([...used.written.subarray(0, count)]).toEqual([5, 5, 5, 5]);
      vi.restoreAllMocks();
    }
  });
});

test('a kept queue is used in order: another chain than the oldest one is a mistake', () => {
  const lives = new Lives([]);
  for (let i = 0; i < 2; i++) lives.driver.addWritable(0x8000, 16);
  lives.driver.publish();
  const burst = new ChainBurst(SIZE);
  lives.queue.takeBurst(burst, SIZE);
  expect(() => lives.queue.putUsed(burst.token[1]!, 0)).toThrow('the oldest one: a kept queue is used in order');
});

test('what is kept of a queue, byte by byte: the place that holds, then where it stands', () => {
  const lives = new Lives([]);
  for (let i = 0; i < 3; i++) lives.driver.addWritable(0x8000, 16);
  lives.driver.publish();
  const burst = new ChainBurst(SIZE);
  lives.queue.takeBurst(burst, SIZE);
  lives.keeper.delivered(0, 41);
  lives.queue.putUsedBurst(burst, 0, 3);
  lives.queue.publishUsed();
  const record = lives.layout.records[0]! >> 2;
  const words = lives.memory.i32;
  const place = words[record + RECORD.PLACE];
  const at = record + (place === 1 ? RECORD.FIRST : RECORD.SECOND);
  const stand = [...words.subarray(at, at + STAND.WORDS)];
  // position 3, wrap 0, nothing put, 3 chains, frame 41 once.
  expect(stand).toEqual([3, 0, 0, 0, 3, 41, 1, 41, 1]);
  expect(words[(KEEP_AT + KEEP.FUNCTION) >> 2]).toBe(0);
});

test('a record that was never written says so, and a ring out of reach', () => {
  const lives = new Lives([]);
  const strange = new DeviceKeeper(lives.memory, keepLayout(0x3_0000, [SIZE]));
  expect(strange.resume(0, lives.config)).toBe('where the device stood in the ring is not known');
});
