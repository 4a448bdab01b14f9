import { BufferList } from '../buffer-list.js';
import { NO_ROOM } from '../driver-queue.js';
import { UsedBurst } from '../used-burst.js';
import type { Element } from './arena.js';
import { type Buffer, check, type Loopback, sameBytes } from './loopback.js';

/** One step: what to do, and numbers from which it takes its choices. */
export interface Step {
  readonly act: keyof typeof STEPS;
  readonly a: number;
  readonly b: number;
}

/** How often each step is taken, against the others. */
export const WEIGHTS: Readonly<Record<keyof typeof STEPS, number>> = {
  add: 10,
  addBurst: 4,
  publish: 8,
  takeUsed: 8,
  driverSleep: 4,
  driverDisable: 1,
  deviceTake: 8,
  put: 8,
  takeAndPut: 3,
  publishUsed: 8,
  untake: 1,
  deviceSleep: 4,
  deviceDisable: 1,
  move: 2,
  spurious: 1,
};

type Act = (loop: Loopback, a: number, b: number) => void;

export const STEPS = {
  add,
  addBurst,
  publish: (loop) => loop.publish(),
  takeUsed: (loop, a) => {
    if (!loop.driverSleeps) takeUsed(loop, a % (loop.kind.size + 2));
  },
  driverSleep: (loop, a, b) => {
    if (!loop.driverSleeps) driverSleep(loop, a % 2 === 0 ? 0 : b % (loop.kind.size + 1));
  },
  driverDisable: (loop) => {
    if (!loop.driverSleeps) loop.driver.disableNotifications();
  },
  deviceTake: (loop, a) => {
    if (!loop.deviceSleeps) loop.deviceTake(a % (loop.kind.size + 2));
  },
  put: (loop, a, b) => {
    if (loop.inFlight.length === 0) return;
    const place = loop.kind.inOrder ? 0 : a % loop.inFlight.length;
    loop.putAt(place, writtenOf(loop.inFlight[place]!.buffer, b));
  },
  takeAndPut,
  publishUsed: (loop) => loop.publishUsed(),
  untake: (loop) => {
    const last = loop.inFlight.at(-1);
    // Only the one taken last, and the device knows that one waits again.
    if (loop.deviceSleeps || last === undefined || loop.lastTaken !== last) return;
    loop.device.untake(last.burst.token[last.i]!);
    loop.inFlight.pop();
    loop.lastTaken = undefined;
    loop.available.unshift(last.buffer);
  },
  deviceSleep: (loop) => {
    if (!loop.deviceSleeps) deviceSleep(loop);
  },
  deviceDisable: (loop) => {
    if (!loop.deviceSleeps) loop.device.disableNotifications();
  },
  move: (loop) => {
    if (loop.inFlight.length === 0 && loop.put.length === 0) loop.moveDevice();
  },
  spurious: (loop, a) => {
    if (a % 2 === 0) loop.driverSleeps = false;
    else loop.deviceSleeps = false;
  },
} as const satisfies Record<string, Act>;

/** A buffer of up to three elements of each kind, each up to 100 bytes; it has one at least. */
function add(loop: Loopback, a: number, b: number): void {
  const { kind, driver, arena } = loop;
  const readableCount = Math.min(a % 4, kind.size);
  const writableCount = Math.min(((a >>> 2) % 4) + (readableCount === 0 ? 1 : 0), kind.size - readableCount);
  const readable = allocate(loop, readableCount, a >>> 4, b);
  const writable = readable && allocate(loop, writableCount, a >>> 6, b >>> 3);
  if (readable === undefined || writable === undefined) {
    arena.release(readable ?? []);
    return;
  }
  const count = readableCount + writableCount;
  const choices = directChoices(loop, count);
  const direct = choices[b % choices.length];
  const inTable = direct === undefined ? kind.indirect && count > 1 && count <= kind.entries : direct < count;
  const slots = inTable ? (direct ?? 0) + 1 : count;
  fill(loop, readable, writable, a ^ b);
  const list = new BufferList(count);
  for (const { address, length } of readable) list.addReadable(address, length);
  for (const { address, length } of writable) list.addWritable(address, length);
  const free = driver.free;
  let id: number;
  if (count > 1 || direct !== undefined || (b & 1) === 0) id = driver.add(list, direct);
  else if (readableCount === 1) id = driver.addReadable(readable[0]!.address, readable[0]!.length);
  else id = driver.addWritable(writable[0]!.address, writable[0]!.length);
  check((id === NO_ROOM) === slots > free && id < kind.size, 'room', id, slots, free);
  if (id === NO_ROOM) arena.release([...readable, ...writable]);
  else enqueue(loop, id, slots, readable, writable, a ^ b);
}

/** Buffers of one element each. */
function addBurst(loop: Loopback, a: number, b: number): void {
  const readable = allocate(loop, a % 4, a >>> 4, b) ?? [];
  const writable = allocate(loop, (a >>> 2) % 4, a >>> 6, b >>> 3) ?? [];
  const elements = [...readable, ...writable];
  if (elements.length === 0) return;
  fill(loop, readable, writable, a ^ b);
  const list = new BufferList(elements.length);
  const tokens = elements.map(() => loop.nextToken++);
  for (const [at, { address, length }] of elements.entries())
    if (at < readable.length) list.addReadable(address, length, tokens[at]!);
    else list.addWritable(address, length, tokens[at]!);
  const free = loop.driver.free;
  const added = loop.driver.addBurst(list);
  check(added === Math.min(elements.length, free), 'addBurst', added, elements.length, free);
  elements.forEach((element, at) => {
    if (at >= added) loop.arena.release([element]);
    else if (at < readable.length) enqueue(loop, tokens[at]!, 1, [element], [], 0);
    else enqueue(loop, tokens[at]!, 1, [], [element], a ^ b);
  });
}

/** Take all used buffers that are asked for, oldest first, with exactly the bytes that the device wrote. */
export function takeUsed(loop: Loopback, max: number): number {
  const burst = new UsedBurst(loop.kind.capacity);
  const wanted = Math.min(max, burst.capacity, loop.used.length);
  check(loop.driver.takeUsed(burst, max) === wanted, 'takeUsed', burst.count, wanted);
  for (let i = 0; i < wanted; i++) {
    const buffer = loop.used.shift()!;
    check(
      burst.token[i] === buffer.token && burst.outcome[i] === 0,
      'used',
      burst.token[i],
      buffer.token,
      burst.outcome[i],
    );
    check(burst.written[i] === buffer.written, 'written', burst.written[i], buffer.written);
    const bytes = Uint8Array.from(buffer.writable.flatMap((element) => [...loop.arena.read(element)]));
    check(sameBytes(bytes.subarray(0, buffer.written), buffer.answer.subarray(0, buffer.written)), 'answer');
    check(
      bytes.subarray(buffer.written).every((byte) => byte === 0xee),
      'bytes behind the answer',
    );
    check(loop.out.delete(buffer.token), 'an id that came back twice', buffer.token);
    loop.arena.release([...buffer.readable, ...buffer.writable]);
    loop.completed++;
  }
  return wanted;
}

export function driverSleep(loop: Loopback, after: number): void {
  const { driver, used, available, inFlight, put, kind } = loop;
  const inRing = available.length + inFlight.length + put.length + used.length;
  const isEnough = driver.enableNotifications(after);
  const skipped = kind.eventIdx ? Math.min(after, Math.max(inRing - 1, 0)) : 0;
  check(isEnough ? used.length > 0 : used.length <= skipped, 'enable', isEnough, after, used.length, inRing);
  loop.driverSleeps = !isEnough;
}

export function deviceSleep(loop: Loopback): void {
  const waits = loop.device.enableNotifications();
  check(waits === loop.available.length > 0, 'enable', waits, loop.available.length);
  loop.deviceSleeps = !waits;
}

function takeAndPut(loop: Loopback, a: number, b: number): void {
  if (loop.deviceSleeps || (loop.kind.inOrder && loop.inFlight.length > 0)) return;
  const before = loop.inFlight.length;
  const burst = loop.deviceTake(a % (loop.kind.size + 1));
  for (const taken of loop.inFlight.splice(before)) {
    burst.written[taken.i] = writtenOf(taken.buffer, b + taken.i);
    loop.answer(taken, burst.written[taken.i]!);
    loop.put.push(taken.buffer);
  }
  loop.device.putUsedBurst(burst, 0, burst.count);
  loop.lastTaken = undefined;
}

/** All, nothing, or some of the answer. */
function writtenOf({ answer }: Buffer, seed: number): number {
  return [answer.length, 0, (seed >>> 2) % (answer.length + 1)][seed % 3]!;
}

/** Splits into chained elements and table that the queue allows; undefined leaves it to the queue. */
function directChoices({ kind }: Loopback, count: number): (number | undefined)[] {
  const choices: (number | undefined)[] = [undefined, count];
  for (let direct = 0; direct < count && kind.indirect; direct++) {
    if (count - direct <= kind.entries && (!kind.packed || direct === 0)) choices.push(direct);
  }
  return choices;
}

function allocate(loop: Loopback, count: number, seed: number, more: number): Element[] | undefined {
  const elements: Element[] = [];
  for (let at = 0; at < count; at++) {
    const element = loop.arena.allocate(1 + ((seed + 37 * at) % 100), more + 101 * at);
    if (element === undefined) {
      loop.arena.release(elements);
      return undefined;
    }
    elements.push(element);
  }
  return elements;
}

const question = (length: number, seed: number, at: number): Uint8Array =>
  Uint8Array.from({ length }, (_, byte) => seed + 31 * at + 7 * byte);

/** Give the elements their contents: what the device is to read, and what it has not written yet. */
function fill(loop: Loopback, readable: readonly Element[], writable: readonly Element[], seed: number): void {
  readable.forEach((element, at) => {
    loop.arena.write(element, question(element.length, seed, at));
  });
  for (const element of writable) loop.arena.write(element, new Uint8Array(element.length).fill(0xee));
}

function enqueue(
  loop: Loopback,
  token: number,
  slots: number,
  readable: readonly Element[],
  writable: readonly Element[],
  seed: number,
): void {
  check(!loop.out.has(token), 'a buffer that is out already', token);
  const length = writable.reduce((sum, element) => sum + element.length, 0);
  const buffer: Buffer = {
    token,
    slots,
    readable,
    writable,
    question: Uint8Array.from(readable.flatMap((element) => [...loop.arena.read(element)])),
    answer: Uint8Array.from({ length }, (_, byte) => 0x55 ^ (seed + 13 * byte)),
    written: 0,
  };
  loop.out.set(token, buffer);
  loop.added.push(buffer);
}
