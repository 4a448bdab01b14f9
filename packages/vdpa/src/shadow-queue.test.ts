import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  BROKEN,
  BufferList,
  ChainBurst,
  type DeviceQueue,
  type DriverQueue,
  isRefusal,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  RING_FAULT,
  UsedBurst,
} from '@ringwire/virtqueue';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ShadowQueue } from './shadow-queue.js';

const memory = HostMemory.create(0x20_0000);
/** The guest's RAM is elsewhere for the guest than on the host, and elsewhere again for the device. */
const GPA = 0x4000_0000;
const BIAS = 0x7000_0000;
const RAM = 0x10_0000;
const guest = new GuestMemory(memory, [{ gpa: GPA, size: RAM, host: 0 }]);
const device = new GuestMemory(memory, [{ gpa: BIAS, size: 0x20_0000, host: 0 }]);
const FRONT = { ring: 0, tables: 0x1_0000, buffers: 0x4_0000 } as const;
const BACK = { ring: 0x10_0000, tables: 0x11_0000 } as const;
const BUFFER_BYTES = 256;

function config(space: GuestMemory, base: number, size: number, isPacked: boolean, isIndirect: boolean): QueueConfig {
  const bits: number[] = [VIRTIO_F.VERSION_1];
  if (isPacked) bits.push(VIRTIO_F.RING_PACKED);
  if (isIndirect) bits.push(VIRTIO_F.INDIRECT_DESC);
  return { space, size, desc: base, driver: base + 0x2000, device: base + 0x4000, features: featureWords(bits) };
}

/** One buffer: bytes of its readable elements, then of its writable ones. */
interface Wish {
  readonly readable: readonly number[];
  readonly writable: readonly number[];
}

interface Side {
  readonly isPacked: boolean;
  readonly isIndirect: boolean;
  readonly size: number;
}

/** What a device does to a buffer: it writes what it read, over and over, up to a length that depends on it. */
class EchoDevice {
  private readonly burst = new ChainBurst(64);
  private readonly held: { token: number; written: number }[] = [];
  private readonly queue: DeviceQueue;

  constructor(where: QueueConfig) {
    const queue = openDeviceQueue(where);
    if (isRefusal(queue)) throw new Error(queue.message);
    this.queue = queue;
  }

  /** Take buffers, and use some of those that it has: the newest first, when `isBackwards`. */
  turn(take: number, use: number, isBackwards: boolean): void {
    const { burst, queue } = this;
    burst.clear();
    const taken = queue.takeBurst(burst, take);
    for (let i = 0; i < taken; i++) {
      const readable = burst.readableBytes(i);
      const writable = burst.writableBytes(i);
      const written = Math.min(writable, readable + 3);
      const bytes = new Uint8Array(readable);
      let at = 0;
      for (let s = burst.first[i]!; s < burst.firstWritable[i]!; s++) {
        const { offset, length } = burst.segments;
        bytes.set(memory.u8.subarray(offset[s]!, offset[s]! + length[s]!), at);
        at += length[s]!;
      }
      let put = 0;
      for (let s = burst.firstWritable[i]!; s < burst.end(i); s++)
        for (let byte = 0; byte < burst.segments.length[s]! && put < written; byte++, put++)
          memory.u8[burst.segments.offset[s]! + byte] = readable === 0 ? 7 : bytes[put % readable]! ^ 0x55;
      this.held.push({ token: burst.token[i]!, written });
    }
    for (let i = 0; i < use && this.held.length > 0; i++) {
      const { token, written } = (isBackwards ? this.held.pop() : this.held.shift())!;
      queue.putUsed(token, written);
    }
    queue.publishUsed();
  }
}

interface Outcome {
  readonly written: number;
  readonly bytes: string;
}

/** A driver with buffers of any shape, which notes what became of each. */
class Driver {
  readonly outcomes: (Outcome | undefined)[] = [];
  private readonly queue: DriverQueue;
  private readonly used = new UsedBurst(64);
  private readonly waiting: Wish[];
  private readonly numbers = new Map<number, number>();
  private next = 0;

  constructor(where: QueueConfig, isIndirect: boolean, wishes: readonly Wish[]) {
    const tables = { address: GPA + FRONT.tables, entries: 8 };
    this.queue = openDriverQueue(where, isIndirect ? tables : undefined);
    this.waiting = [...wishes];
  }

  get isDone(): boolean {
    return this.waiting.length === 0 && this.queue.outstanding === 0;
  }

  send(most: number): void {
    for (let sent = 0; sent < most && this.waiting.length > 0; sent++) {
      const { readable, writable } = this.waiting[0]!;
      const list = new BufferList(8);
      let at = GPA + FRONT.buffers + this.next * BUFFER_BYTES;
      for (const [elements, isReadable] of [
        [readable, true],
        [writable, false],
      ] as const)
        for (const bytes of elements) {
          if (isReadable) list.addReadable(at, bytes);
          else list.addWritable(at, bytes);
          memory.u8.fill((this.next * 31 + at) & 0xff, at - GPA, at - GPA + bytes);
          at += bytes;
        }
      const id = this.queue.add(list);
      if (id < 0) break;
      this.numbers.set(id, this.next++);
      this.waiting.shift();
    }
    this.queue.publish();
  }

  reap(): void {
    this.used.clear();
    const taken = this.queue.takeUsed(this.used, 64);
    expect(this.queue.broken).toBe(0);
    for (let i = 0; i < taken; i++) {
      const number = this.numbers.get(this.used.token[i]!)!;
      const at = FRONT.buffers + number * BUFFER_BYTES;
      const bytes = String.fromCharCode(...memory.u8.slice(at, at + BUFFER_BYTES));
      expect(this.outcomes[number]).toBeUndefined();
      this.outcomes[number] = { written: this.used.written[i]!, bytes };
    }
  }
}

interface Turn {
  readonly send: number;
  readonly shadow: number;
  readonly take: number;
  readonly use: number;
  readonly isBackwards: boolean;
}

/** @param back undefined: without a shadow */
function run(
  front: Side,
  back: Side | undefined,
  wishes: readonly Wish[],
  schedule: readonly Turn[],
): Driver['outcomes'] {
  memory.engine.fill(0, 0, memory.size);
  const where = config(guest, GPA + FRONT.ring, front.size, front.isPacked, front.isIndirect);
  const driver = new Driver(where, front.isIndirect, wishes);
  const backWhere = back && config(device, BIAS + BACK.ring, back.size, back.isPacked, back.isIndirect);
  const shadow = back && backWhere && openShadow(where, back, backWhere);
  const echo = new EchoDevice(backWhere ?? where);
  for (let at = 0; at < 2000; at++) {
    const last = { send: 8, shadow: 8, take: 8, use: 8, isBackwards: false };
    const { send, shadow: budget, take, use, isBackwards } = at < 200 ? schedule[at % schedule.length]! : last;
    driver.send(send);
    shadow?.turn(budget);
    echo.turn(take, use, isBackwards);
    shadow?.turn(budget);
    driver.reap();
    if (shadow !== undefined) expect(shadow.chainsInFlight().length).toBe(shadow.inFlight);
    if (driver.isDone) return driver.outcomes;
  }
  throw new Error('the run does not end');
}

function openShadow(
  front: QueueConfig,
  back: Side,
  queue: QueueConfig,
  addressOf = (host: number) => host + BIAS,
): ShadowQueue {
  const tables = back.isIndirect ? { tables: { address: BIAS + BACK.tables, entries: 8 } } : {};
  const shadow = ShadowQueue.open({
    front,
    back: { queue, ...tables },
    addressOf,
    notifyDevice: () => {},
    notifyDriver: () => {},
  });
  if (isRefusal(shadow)) throw new Error(shadow.message);
  return shadow;
}

const side = fc.record({ isPacked: fc.boolean(), isIndirect: fc.boolean(), size: fc.constantFrom(8, 16, 32) });
const elements = fc.array(fc.integer({ min: 1, max: 24 }), { maxLength: 4 });
const wish = fc
  .record({ readable: elements, writable: elements })
  .filter(({ readable, writable }) => readable.length + writable.length > 0);
const turn = fc.record({
  send: fc.nat(6),
  shadow: fc.integer({ min: 1, max: 8 }),
  take: fc.nat(6),
  use: fc.nat(6),
  isBackwards: fc.boolean(),
});

test('any traffic through a shadow ends as it does without one: split and packed, chained, indirect, in any order', () => {
  fc.assert(
    fc.property(
      side,
      side,
      fc.array(wish, { minLength: 1, maxLength: 60 }),
      fc.array(turn, { minLength: 1, maxLength: 20 }),
      (front, back, wishes, schedule) => {
        expect(run(front, back, wishes, schedule)).toEqual(run(front, undefined, wishes, schedule));
      },
    ),
    { numRuns: 150 },
  );
});

const SIDE = { isPacked: false, isIndirect: false, size: 8 } as const;
const BACK_WHERE = config(device, BIAS + BACK.ring, 8, true, false);

function opened(isPacked = false) {
  memory.engine.fill(0, 0, memory.size);
  const where = config(guest, GPA, 8, isPacked, false);
  const wishes = Array.from({ length: 6 }, (_, i) => ({ readable: [i + 1], writable: [i + 4] }));
  const driver = new Driver(where, false, wishes);
  const shadow = openShadow(where, { ...SIDE, isPacked: true }, BACK_WHERE);
  return { where, driver, shadow, echo: new EchoDevice(BACK_WHERE) };
}

test('what the device has is known at any time, in the order in which it was taken', () => {
  const { driver, shadow, echo } = opened();
  driver.send(3);
  shadow.turn(8);
  expect(shadow.chainsInFlight()).toEqual([
    { sequence: 0, readable: 1, writable: 4 },
    { sequence: 1, readable: 2, writable: 5 },
    { sequence: 2, readable: 3, writable: 6 },
  ]);
  // The last one comes back first.
  echo.turn(8, 1, true);
  shadow.turn(8);
  expect(shadow.chainsInFlight().map(({ sequence }) => sequence)).toEqual([0, 1]);
  expect(shadow.save()).toBeUndefined();
});

test.each([false, true])(
  'a shadow that is taken away leaves the ring where the device stood in it, packed %s',
  (isPacked) => {
    const { where, driver, shadow, echo } = opened(isPacked);
    driver.send(4);
    shadow.turn(8);
    echo.turn(2, 2, false);
    expect(shadow.giveBack()).toBe(0);
    const state = shadow.save();
    shadow.stop();
    const queue = openDeviceQueue(where, state);
    if (isRefusal(queue)) throw new Error(queue.message);
    const burst = new ChainBurst(8);
    expect(queue.takeBurst(burst, 8)).toBe(2);
    expect([burst.readableBytes(0), burst.readableBytes(1)]).toEqual([3, 4]);
  },
);

test('what was used out of its order keeps the earlier ones in flight, and another device is given them', () => {
  const { driver, shadow, echo } = opened();
  driver.send(3);
  shadow.turn(8);
  echo.turn(3, 1, true);
  expect(shadow.giveBack()).toBe(2);
  const next = config(device, BIAS + BACK.ring + 0x8000, 16, false, false);
  shadow.moveTo({ queue: next });
  const other = new EchoDevice(next);
  for (let turns = 0; turns < 4; turns++) {
    other.turn(8, 8, false);
    shadow.turn(8);
    driver.reap();
    driver.send(8);
  }
  expect(driver.outcomes.map((outcome) => outcome?.written)).toEqual([4, 5, 6, 7, 8, 9]);
  expect(shadow.inFlight).toBe(0);
  driver.send(8);
  expect(shadow.save()).toMatchObject({ layout: 'split', lastAvailIdx: 6 });
});

test('a driver’s nonsense is counted or ends the ring', () => {
  const { shadow } = opened();
  // Descriptor 0: address 2^52, which no RAM has; available idx 1, ring [0].
  memory.view.setUint32(4, 0x10_0000, true);
  memory.view.setUint32(8, 64, true);
  memory.view.setUint16(0x2002, 1, true);
  shadow.turn(8);
  expect(shadow.counters).toMatchObject({ chainFaults: 1, forwarded: 0 });
  // used idx 1, element { id 0, len 0 }
  expect([...memory.u8.slice(0x4000, 0x400c)]).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  memory.view.setUint16(0x2002, 200, true);
  shadow.turn(8);
  expect(shadow.ringFault).toBe(RING_FAULT.AVAIL_INDEX);
  expect(shadow.turn(8)).toBe(0);
});

test('a device that uses what it was not given, or more bytes than there are, is not believed', () => {
  const { driver, shadow } = opened();
  driver.send(2);
  shadow.turn(8);
  // The device's slot 0: length 100 of a buffer of 4, its id, and AVAIL and USED as in the first lap. virtio 1.4 §2.8.1
  memory.view.setUint32(BACK.ring + 8, 100, true);
  memory.view.setUint16(BACK.ring + 14, 0x8080, true);
  shadow.turn(8);
  driver.reap();
  expect([shadow.counters.tooLong, driver.outcomes[0]?.written]).toEqual([1, 0]);
  // Slot 2: an id that nobody has.
  memory.view.setUint16(BACK.ring + 2 * 16 + 12, 6, true);
  memory.view.setUint16(BACK.ring + 2 * 16 + 14, 0x8080, true);
  shadow.turn(8);
  expect(shadow.broken).toBe(BROKEN.USED_ID_NOT_OUTSTANDING);
  expect(shadow.inFlight).toBe(1);
});

test.each([false, true])(
  'a buffer that is unmapped before the device has it comes back empty, packed %s: no address stands for it',
  (isPacked) => {
    memory.u8.fill(0);
    const large = config(guest, GPA, 16, isPacked, false);
    const small = config(device, BIAS + BACK.ring, 4, isPacked, false);
    const driver = new Driver(
      large,
      false,
      Array.from({ length: 6 }, () => ({ readable: [8], writable: [8] })),
    );
    let isMapped = true;
    const first = FRONT.buffers + 2 * BUFFER_BYTES;
    const shadow = openShadow(large, { ...SIDE, isPacked, size: 4 }, small, (host) =>
      isMapped || host < first ? host + BIAS : -1,
    );
    const echo = new EchoDevice(small);
    driver.send(6);
    // Two chains fill the device's ring, the third one is held back.
    shadow.turn(8);
    expect([shadow.counters.forwarded, shadow.inFlight]).toEqual([2, 3]);
    isMapped = false;
    echo.turn(8, 8, false);
    for (let turn = 0; turn < 4; turn++) {
      shadow.turn(8);
      echo.turn(8, 8, false);
    }
    driver.reap();
    expect(driver.outcomes.map((outcome) => outcome?.written)).toEqual([8, 8, 0, 0, 0, 0]);
    expect(shadow.counters).toMatchObject({ forwarded: 2, returned: 2, chainFaults: 4 });
    expect([shadow.inFlight, shadow.broken, shadow.ringFault]).toEqual([0, 0, 0]);
  },
);

test('what the next device would be given again, and was unmapped meanwhile, comes back empty', () => {
  memory.u8.fill(0);
  const front = config(guest, GPA, 8, false, false);
  const driver = new Driver(
    front,
    false,
    Array.from({ length: 2 }, () => ({ readable: [8], writable: [8] })),
  );
  let isMapped = true;
  const second = FRONT.buffers + BUFFER_BYTES;
  const shadow = openShadow(front, SIDE, BACK_WHERE, (host) => (isMapped || host < second ? host + BIAS : -1));
  driver.send(2);
  shadow.turn(8);
  isMapped = false;
  const next = config(device, BIAS + BACK.tables, 8, false, false);
  shadow.moveTo({ queue: next });
  expect([shadow.inFlight, shadow.counters.chainFaults]).toEqual([1, 1]);
  const echo = new EchoDevice(next);
  echo.turn(8, 8, false);
  shadow.turn(8);
  driver.reap();
  expect(driver.outcomes.map((outcome) => outcome?.written)).toEqual([8, 0]);
});

test('IN_ORDER in the driver’s ring, and a place that is none', () => {
  const where = config(guest, GPA, 8, false, false);
  const rest = {
    back: { queue: BACK_WHERE },
    addressOf: (host: number) => host + BIAS,
    notifyDevice: () => {},
    notifyDriver: () => {},
  };
  const inOrder = { ...where, features: featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.IN_ORDER]) };
  expect(() => ShadowQueue.open({ ...rest, front: inOrder })).toThrow('features is IN_ORDER');
  expect(ShadowQueue.open({ ...rest, front: { ...where, desc: 0 } })).toMatchObject({ field: 'desc' });
});
