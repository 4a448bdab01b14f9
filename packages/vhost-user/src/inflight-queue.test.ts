import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  BufferList,
  ChainBurst,
  type DriverQueue,
  openDriverQueue,
  type QueueConfig,
  type QueueState,
  UsedBurst,
} from '@ringwire/virtqueue';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PackedRecord } from './inflight-packed.js';
import { InflightQueue } from './inflight-queue.js';
import { SplitRecord } from './inflight-split.js';

const SIZE = 8;
const REGION = { at: 0x1000, bytes: 32 + 32 * SIZE };
const RAM = { gpa: 0x4000, size: 0xc000, host: 0x4000 };
const LAYOUTS = ['split', 'packed'] as const;
type Layout = (typeof LAYOUTS)[number];

const START: Readonly<Record<Layout, QueueState>> = {
  split: { layout: 'split', lastAvailIdx: 0, usedIdx: 0 },
  packed: { layout: 'packed', lastAvailIdx: 0, lastAvailWrapCounter: 1, usedIdx: 0, usedWrapCounter: 1 },
};

/** A driver, and one life of the device after the other. */
class Lives {
  readonly memory: HostMemory = HostMemory.create(0x1_0000);
  readonly driver: DriverQueue;
  readonly config: QueueConfig;
  queue: InflightQueue;
  readonly layout: Layout;

  constructor(layout: Layout) {
    this.layout = layout;
    const features = [VIRTIO_F.VERSION_1, ...(layout === 'packed' ? [VIRTIO_F.RING_PACKED] : [])];
    const space = new GuestMemory(this.memory, [RAM]);
    this.config = { space, size: SIZE, desc: 0x4000, driver: 0x5000, device: 0x6000, features: featureWords(features) };
    this.driver = openDriverQueue(this.config);
    this.queue = this.begin();
  }

  open(): InflightQueue | string {
    return InflightQueue.open(this.config, START[this.layout], { memory: this.memory, at: REGION.at, size: SIZE });
  }

  /** The device that was there is gone, without a word; another one takes over. */
  begin(): InflightQueue {
    const queue = this.open();
    if (typeof queue === 'string') throw new Error(queue);
    this.queue = queue;
    return queue;
  }

  /** Bytes of the region. */
  region(from: number, to: number): number[] {
    return [...this.memory.u8.subarray(REGION.at + from, REGION.at + to)];
  }

  take(max: number): number[] {
    const burst = new ChainBurst(SIZE);
    const count = this.queue.takeBurst(burst, max);
    return [...burst.token.subarray(0, count)];
  }
}

afterEach(() => vi.restoreAllMocks());

describe('vhost-user, Inflight I/O tracking: the bytes of a region', () => {
  test('split: a flag and a counter from when a chain is taken, the last batch and used_idx from when it is visible', () => {
    const lives = new Lives('split');
    // features 0, version 1, desc_num 8, last_batch_head 0, used_idx 0.
    expect(lives.region(0, 16)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0]);
    const heads = [0, 1, 2].map(() => lives.driver.addReadable(0x8000, 64));
    lives.driver.publish();
    expect(lives.take(8)).toEqual(heads);
    const stateOf = (head: number): number[] => lives.region(16 + 16 * head, 32 + 16 * head);
    // inflight, padding[5], next, counter.
    expect(heads.map(stateOf)).toEqual([0, 1, 2].map((n) => [1, 0, 0, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0]));
    lives.queue.putUsed(heads[2]!, 0);
    lives.queue.putUsed(heads[0]!, 0);
    expect(lives.region(12, 16)).toEqual([0, 0, 0, 0]);
    lives.queue.publishUsed();
    expect(lives.region(12, 16)).toEqual([heads[0]!, 0, 2, 0]);
    expect(heads.map((head) => stateOf(head)[0])).toEqual([0, 1, 0]);
    expect(stateOf(heads[0]!).slice(6, 8)).toEqual([heads[2]!, 0]);
  });

  test('packed: a copy of each descriptor of a chain, entries linked, and the position now and before', () => {
    const lives = new Lives('packed');
    // …, free_head 0, old_free_head 0, used_idx 0, old_used_idx 0, wrap counters 1 and 1.
    expect(lives.region(8, 24)).toEqual([1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
    const list = new BufferList(2);
    list.addReadable(0x8010, 0x40);
    list.addWritable(0x9000, 0x102);
    const id = lives.driver.add(list);
    lives.driver.publish();
    const [token] = lives.take(8);
    expect(lives.region(12, 24)).toEqual([2, 0, 2, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
    // inflight, padding, next 1, last 1, num 2, counter 0; id, flags NEXT and AVAIL, len, addr.
    expect(lives.region(32, 48)).toEqual([1, 0, 1, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(lives.region(48, 64)).toEqual([id, 0, 0x81, 0, 0x40, 0, 0, 0, 0x10, 0x80, 0, 0, 0, 0, 0, 0]);
    // WRITE and AVAIL.
    expect(lives.region(80, 96)).toEqual([id, 0, 0x82, 0, 2, 1, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0]);
    lives.queue.putUsed(token!, 0x102);
    lives.queue.publishUsed();
    // The entries are free again, before the others; two slots on.
    expect(lives.region(12, 24)).toEqual([0, 0, 0, 0, 2, 0, 2, 0, 1, 1, 0, 0]);
    expect([lives.region(32, 33), lives.region(66, 68)]).toEqual([[0], [2, 0]]);
  });

  test.each(LAYOUTS)('%s: a chain that is given back is not in flight', (layout) => {
    const lives = new Lives(layout);
    lives.driver.addReadable(0x8000, 64);
    lives.driver.publish();
    const before = lives.region(12, 24);
    const [token] = lives.take(1);
    lives.queue.untake(token!);
    const first = layout === 'split' ? 16 + 16 * token! : 32;
    expect(lives.region(first, first + 1)).toEqual([0]);
    expect(lives.region(12, 24)).toEqual(
      layout === 'split' ? before.map((v, i) => (i === 4 + 16 * token! ? 0 : v)) : before,
    );
  });
});

describe.each(LAYOUTS)('%s', (layout) => {
  test('VU-27: chains that were in flight are taken again in their order, before others, and given back as often as it takes', () => {
    const lives = new Lives(layout);
    const ids = [0, 1, 2, 3, 4].map((n) => lives.driver.addReadable(0x8000 + 64 * n, 64 + n));
    lives.driver.publish();
    const tokens = lives.take(3);
    lives.queue.putUsed(tokens[1]!, 0);
    lives.queue.publishUsed();
    lives.begin();
    const burst = new ChainBurst(SIZE);
    expect(lives.queue.takeBurst(burst, 1)).toBe(1);
    expect(burst.readableBytes(0)).toBe(64);
    lives.queue.untake(burst.token[0]!);
    burst.clear();
    expect(lives.queue.takeBurst(burst, 8)).toBe(4);
    expect([0, 1, 2, 3].map((i) => burst.readableBytes(i))).toEqual([64, 66, 67, 68]);
    lives.queue.putUsedBurst(burst, 0, 4);
    lives.queue.publishUsed();
    const used = new UsedBurst(SIZE);
    expect(lives.driver.takeUsed(used, SIZE)).toBe(5);
    expect([...used.token.subarray(0, 5)]).toEqual([ids[1], ids[0], ids[2], ids[3], ids[4]]);
    expect(lives.queue.save()).toEqual(expect.objectContaining({ lastAvailIdx: 5, usedIdx: 5 }));
  });

  test('the rest is the queue’s own', () => {
    const lives = new Lives(layout);
    const { queue } = lives;
    lives.driver.addReadable(0x8000, 64);
    lives.driver.publish();
    queue.disableNotifications();
    expect([queue.layout, queue.size, queue.hasAvailable(), queue.enableNotifications()]).toEqual([
      layout,
      SIZE,
      true,
      true,
    ]);
    const burst = new ChainBurst(1);
    expect([queue.takeAvailable(burst), queue.takeAvailable(new ChainBurst(1))]).toEqual([1, 0]);
    expect([queue.inFlight, queue.counters.taken, queue.ringFault, queue.refresh()]).toEqual([1, 1, 0, true]);
    queue.putUsed(burst.token[0]!, 0);
    queue.stop();
    expect(queue.publishUsed()).toBe(false);
  });

  const Record = layout === 'split' ? SplitRecord : PackedRecord;

  /** What a device does between two looks at the ring, and where in a publication it may be killed. */
  const anyStep = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ what: fc.constant('offer' as const), segments: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 3, arbitrary: fc.record({ what: fc.constant('take' as const), max: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 3, arbitrary: fc.record({ what: fc.constant('put' as const), which: fc.nat(7) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('back' as const) }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('publish' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        what: fc.constant('kill' as const),
        when: fc.constantFrom('now', 'before it is visible', 'while it is linked', 'when it is visible'),
      }),
    },
  );

  test('VU-27: whenever a device is killed, the next one loses no used element and repeats none', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
        const lives = new Lives(layout);
        const used = new UsedBurst(SIZE);
        let tokens: number[] = [];
        const offered = new Map<number, number>();
        let count = 0;
        const collect = (): void => {
          used.clear();
          lives.driver.takeUsed(used, SIZE);
          expect(lives.driver.broken).toBe(0);
          for (let i = 0; i < used.count; i++) {
            // Each is one that is out: a second time the driver would call the device broken.
            expect(offered.delete(used.token[i]!)).toBe(true);
          }
        };
        const publish = (): void => {
          lives.queue.publishUsed();
          collect();
        };
        const kill = (when: string): void => {
          const crash = (): never => {
            throw new Error('killed');
          };
          if (when === 'before it is visible') vi.spyOn(Record.prototype, 'beforePublish').mockImplementation(crash);
          else if (when === 'while it is linked') {
            const link = Record.prototype.beforePublish;
            vi.spyOn(Record.prototype, 'beforePublish').mockImplementation(function (this: SplitRecord & PackedRecord) {
              link.call(this);
              crash();
            });
          } else if (when === 'when it is visible') vi.spyOn(Record.prototype, 'published').mockImplementation(crash);
          try {
            if (when !== 'now') lives.queue.publishUsed();
          } catch {
            // As it was meant.
          }
          vi.restoreAllMocks();
          collect();
          tokens = [];
          lives.begin();
        };
        for (const step of steps) {
          if (step.what === 'offer') {
            const list = new BufferList(3);
            for (let n = 0; n < step.segments; n++) list.addReadable(0x8000 + 64 * n, 64);
            const id = lives.driver.add(list);
            if (id >= 0) offered.set(id, count++);
            lives.driver.publish();
          } else if (step.what === 'take') tokens.push(...lives.take(step.max));
          else if (step.what === 'put' && tokens.length > 0)
            lives.queue.putUsed(tokens.splice(step.which % tokens.length, 1)[0]!, 0);
          else if (step.what === 'back') {
            const [token] = lives.take(1);
            if (token !== undefined) lives.queue.untake(token);
          } else if (step.what === 'publish') publish();
          else if (step.what === 'kill') kill(step.when);
        }
        kill('now');
        for (let turn = 0; turn < 3; turn++) {
          for (const token of lives.take(SIZE)) lives.queue.putUsed(token, 0);
          publish();
        }
        expect([...offered.keys()]).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test('VU-21, MG-17: nonsense in a region is refused or put up with, and nothing else is touched', () => {
    const anyByte = fc.record({ at: fc.nat(REGION.bytes - 1), value: fc.constantFrom(0, 1, 2, 7, 8, 9, 0x7f, 0xff) });
    fc.assert(
      fc.property(fc.array(anyByte, { maxLength: 40 }), fc.nat(8), (bytes, taken) => {
        const lives = new Lives(layout);
        for (let n = 0; n < 8; n++) lives.driver.addReadable(0x8000 + 64 * n, 64);
        lives.driver.publish();
        const tokens = lives.take(taken);
        if (tokens.length > 2) lives.queue.putUsed(tokens[1]!, 0);
        lives.queue.publishUsed();
        for (const { at, value } of bytes) lives.memory.u8[REGION.at + at] = value;
        const before = lives.memory.u8.slice();
        const queue = lives.open();
        if (typeof queue !== 'string') {
          const burst = new ChainBurst(SIZE);
          for (let turn = 0; turn < 4; turn++) {
            burst.clear();
            const count = queue.takeBurst(burst, SIZE);
            expect(count).toBeLessThanOrEqual(SIZE);
            burst.written.fill(0);
            queue.putUsedBurst(burst, 0, count);
            queue.publishUsed();
          }
        }
        const { u8 } = lives.memory;
        const end = REGION.at + REGION.bytes;
        for (const [from, to] of [
          [0, REGION.at],
          [end, RAM.host],
          [0x8000, u8.length],
        ] as const)
          expect(Buffer.compare(u8.subarray(from, to), before.subarray(from, to))).toBe(0);
      }),
      { numRuns: 400 },
    );
  });
});

describe('VU-21: what is refused, and why', () => {
  const CASES: readonly (readonly [
    string,
    Layout,
    (lives: Lives, set: (at: number, ...bytes: number[]) => void) => void,
    RegExp,
  ])[] = [
    ['a version', 'split', (_, set) => set(8, 2), /version is 2, want 1/],
    ['a version', 'packed', (_, set) => set(8, 2), /version is 2, want 1/],
    ['a size', 'split', (_, set) => set(10, 4), /desc_num is 4, want 8/],
    ['a size', 'packed', (_, set) => set(10, 4), /desc_num is 4, want 8/],
    ['a batch larger than the ring', 'split', (_, set) => set(14, 0xf0, 0xff), /used_idx is 16 behind, want at most 8/],
    ['a batch of a head that there is not', 'split', (_, set) => set(12, 8, 0, 0xff, 0xff), /head 8 in the last batch/],
    ['a counter', 'split', (_, set) => set(24, ...Array(8).fill(0xff)), /head 0 with counter 1844/],
    ['a position', 'packed', (_, set) => set(16, 8), /used positions are 8\/1 and 0\/1, want below 8 and 2/],
    ['a wrap counter', 'packed', (_, set) => set(20, 2), /used positions are 0\/2 and 0\/1/],
    ['a chain of none', 'packed', (_, set) => set(38, 0), /chain 0 has 0 descriptors/],
    ['a chain longer than the ring', 'packed', (_, set) => set(38, 9), /more than 8 descriptors/],
    ['a chain that goes on', 'packed', (_, set) => set(50, 0x81), /chain 0 does not end with descriptor 0/],
    [
      'two chains with one entry',
      'packed',
      (_, set) => set(34, 1, 0, 0, 0, 2, ...Array(11).fill(0), 0x81),
      /which it can't/,
    ],
    [
      'entries in a circle',
      'packed',
      (_, set) => set(34, 0, 0, 0, 0, 3, ...Array(11).fill(0), 0x81),
      /chain 0 has entry 0, which/,
    ],
  ];
  test.each(CASES)('%s (%s)', (_, layout, spoil, want) => {
    const lives = new Lives(layout);
    for (let n = 0; n < 2; n++) lives.driver.addReadable(0x8000, 64);
    lives.driver.publish();
    lives.take(2);
    spoil(lives, (at, ...bytes) => lives.memory.u8.set(bytes, REGION.at + at));
    expect(lives.open()).toMatch(want);
  });

  test('MG-17, split: a list of the last batch that has a head twice, a circle, ends with the batch', () => {
    const lives = new Lives('split');
    for (let n = 0; n < 3; n++) lives.driver.addReadable(0x8000, 64);
    lives.driver.publish();
    const [first] = lives.take(3);
    // last_batch_head is the first head, whose next it is itself; three of them are to be followed.
    lives.memory.u8.set([first!, 0, 0xfd, 0xff], REGION.at + 12);
    lives.memory.u16[(REGION.at + 16 + 16 * first! + 6) >> 1] = first!;
    lives.begin();
    expect(lives.take(2)).toEqual([1, 2]);
  });

  test('packed: a driver that changes a chain in flight has no record of it, and harms nobody', () => {
    const lives = new Lives('packed');
    const list = new BufferList(3);
    for (let n = 0; n < 3; n++) list.addReadable(0x8000, 64);
    lives.driver.add(list);
    lives.driver.publish();
    lives.take(1);
    lives.begin();
    // The first descriptor's NEXT: the chain has one slot now, and two chains come behind it.
    lives.memory.u16[(0x4000 + 14) >> 1]! &= ~1;
    const before = lives.region(0, REGION.bytes);
    for (const token of lives.take(8)) lives.queue.putUsed(token, 0);
    lives.queue.publishUsed();
    expect(lives.region(32, REGION.bytes)).toEqual(before.slice(32));
  });
});
