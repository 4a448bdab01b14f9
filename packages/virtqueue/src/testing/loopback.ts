import { ChainBurst } from '../chain-burst.js';
import type { DeviceQueue } from '../device-queue.js';
import type { DriverQueue } from '../driver-queue.js';
import { openDeviceQueue, openDriverQueue } from '../open-queue.js';
import { isRefusal, type QueueConfig } from '../queue-layout.js';
import { Arena, type Element } from './arena.js';
import { type Kind, partsOf, placeQueue } from './random-queue.js';

/** A buffer as driver and device have to agree about it. */
export interface Buffer {
  /** What the driver's queue gives back for it: its id, or the token that it was added with. */
  readonly token: number;
  /** Ring slots that it takes. */
  readonly slots: number;
  readonly readable: readonly Element[];
  readonly writable: readonly Element[];
  /** What the driver gives the device to read. */
  readonly question: Uint8Array;
  /** What the device writes: as much of it as it likes. */
  readonly answer: Uint8Array;
  written: number;
}

/** A buffer that the device works on: chain `i` of a burst. */
export interface Taken {
  readonly buffer: Buffer;
  readonly burst: ChainBurst;
  readonly i: number;
}

export function check(isRight: boolean, ...what: unknown[]): asserts isRight {
  if (!isRight) throw new Error(what.map((part) => JSON.stringify(part)).join(' '));
}

/**
 * A driver queue and a device queue over the same memory, and beside them the plain lists that a queue comes down to.
 * Each buffer moves on through them, and each step of either queue has to agree with the lists.
 */
export class Loopback {
  readonly kind: Kind;
  readonly arena: Arena;
  readonly driver: DriverQueue;
  device: DeviceQueue;
  /** Added, published, taken by the device, put by it, and used for the driver to see. */
  readonly added: Buffer[] = [];
  readonly available: Buffer[] = [];
  readonly inFlight: Taken[] = [];
  readonly put: Buffer[] = [];
  readonly used: Buffer[] = [];
  /** By token, all of the above. */
  readonly out: Map<number, Buffer> = new Map();
  /** A side that sleeps looks at the ring no more, until the other one notifies it. */
  driverSleeps = false;
  deviceSleeps = false;
  completed = 0;
  /** Of buffers added in bursts: never a number that is an id. */
  nextToken = 0x1_0000;
  /** The chain taken last, as long as nothing was given back since. */
  lastTaken: Taken | undefined;
  readonly #config: QueueConfig;
  readonly #parts: { gpa: number; length: number }[];

  constructor(kind: Kind) {
    this.kind = kind;
    this.arena = new Arena(kind.highRings);
    const { config, tables } = placeQueue(kind, this.arena);
    this.#config = config;
    this.#parts = partsOf(kind, config, tables);
    this.driver = openDriverQueue(config, tables);
    this.device = this.#open();
  }

  /** What holds between any two steps. */
  checkState(): void {
    const { driver, device, kind } = this;
    let slots = 0;
    for (const buffer of this.out.values()) slots += buffer.slots;
    check(driver.outstanding === this.out.size, 'outstanding', driver.outstanding, this.out.size);
    check(driver.free === kind.size - slots, 'free', driver.free, kind.size, slots);
    check(device.inFlight === this.inFlight.length, 'in flight', device.inFlight, this.inFlight.length);
    check(driver.hasUsed() === this.used.length > 0, 'hasUsed', this.used.length);
    check(device.hasAvailable() === this.available.length > 0, 'hasAvailable', this.available.length);
    check(driver.broken === 0 && device.ringFault === 0, 'faults', driver.broken, device.ringFault);
  }

  checkMemory(): void {
    check(this.arena.damage(this.#parts).length === 0, this.arena.damage(this.#parts));
  }

  publish(): void {
    const notify = this.driver.publish();
    check(this.added.length > 0 || !notify, 'a notification of nothing');
    this.available.push(...this.added.splice(0));
    if (notify) this.deviceSleeps = false;
  }

  publishUsed(): void {
    const notify = this.device.publishUsed();
    check(this.put.length > 0 || !notify, 'a notification of nothing');
    this.used.push(...this.put.splice(0));
    if (notify) this.driverSleeps = false;
  }

  /** Take chains, and see that they are the oldest available buffers with the bytes that the driver put there. */
  deviceTake(max: number): ChainBurst {
    const burst = new ChainBurst(this.kind.capacity);
    const wanted = Math.min(max, burst.capacity, this.available.length);
    check(this.device.takeBurst(burst, max) === wanted, 'takeBurst', burst.count, wanted);
    for (let i = 0; i < wanted; i++) {
      const buffer = this.available.shift()!;
      check(burst.fault[i] === 0, 'fault', burst.fault[i]);
      check(burst.writableBytes(i) === buffer.answer.length, 'writable bytes', burst.writableBytes(i));
      check(sameBytes(this.#segments(burst, burst.first[i]!, burst.firstWritable[i]!), buffer.question), 'question');
      this.lastTaken = { buffer, burst, i };
      this.inFlight.push(this.lastTaken);
    }
    return burst;
  }

  /** Write the first bytes of the answer into the buffer. */
  answer({ buffer, burst, i }: Taken, written: number): void {
    const { u8 } = this.arena.guest.memory;
    let done = 0;
    for (let s = burst.firstWritable[i]!; s < burst.end(i) && done < written; s++) {
      const part = buffer.answer.subarray(done, Math.min(written, done + burst.segments.length[s]!));
      u8.set(part, burst.segments.offset[s]!);
      done += part.length;
    }
    done = 0;
    for (const { address, length } of buffer.writable) {
      const part = buffer.answer.subarray(done, Math.max(done, Math.min(written, done + length)));
      this.arena.expect({ address, length: part.length }, part);
      done += length;
    }
    buffer.written = written;
  }

  /** Answer and put one of the buffers in flight. */
  putAt(place: number, written: number): void {
    const taken = this.inFlight.splice(place, 1)[0]!;
    this.answer(taken, written);
    this.device.putUsed(taken.burst.token[taken.i]!, written);
    this.put.push(taken.buffer);
  }

  /** A device that is saved and goes on elsewhere. */
  moveDevice(): void {
    const state = this.device.save();
    this.device.stop();
    this.device = this.#open(JSON.parse(JSON.stringify(state)));
  }

  #open(state?: Parameters<typeof openDeviceQueue>[1]): DeviceQueue {
    const device = openDeviceQueue(this.#config, state);
    if (isRefusal(device)) throw new Error(device.message);
    return device;
  }

  #segments(burst: ChainBurst, first: number, end: number): Uint8Array {
    const { u8 } = this.arena.guest.memory;
    const bytes: number[] = [];
    for (let s = first; s < end; s++) {
      const from = burst.segments.offset[s]!;
      bytes.push(...u8.subarray(from, from + burst.segments.length[s]!));
    }
    return Uint8Array.from(bytes);
  }
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at]);
