import { BufferList } from '../buffer-list.js';
import type { IndirectTables } from '../driver-indirect.js';
import { type DriverQueue, NO_ROOM } from '../driver-queue.js';
import { openDriverQueue } from '../open-queue.js';
import type { QueueConfig } from '../queue-layout.js';
import { USED, UsedBurst } from '../used-burst.js';
import { check } from './loopback.js';
import type { Kind } from './random-queue.js';

/** A driver queue, and what it has to hold on to whatever is written into its rings. */
export class DriverUnderAttack {
  readonly queue: DriverQueue;
  taken = 0;
  private readonly kind: Kind;
  /** Of buffers added in bursts: never a number that is an id. */
  private nextToken = 0x1_0000;
  /** Buffers that are out: device-writable bytes, ring slots, and whether the device may know of them. */
  private readonly out: Map<number, { writable: number; slots: number; isPublished: boolean }> = new Map();

  constructor(kind: Kind, config: QueueConfig, tables: IndirectTables) {
    this.kind = kind;
    this.queue = openDriverQueue(config, tables);
  }

  step(act: number, a: number, b: number): void {
    const wasBroken = this.queue.broken;
    const { added } = this.queue.counters;
    if (act === 0) this.add(a, b);
    else if (act === 1) this.addBurst(a, b);
    else if (act === 2) this.publish();
    else if (act === 3) this.take(a);
    else if (a % 2 === 0) this.queue.disableNotifications();
    else this.queue.enableNotifications(b % 4);
    const { broken, counters } = this.queue;
    check(wasBroken === 0 || (broken === wasBroken && counters.added === added), 'broken and at work', broken);
    check(counters.broken.reduce((sum, count) => sum + count) === (broken === 0 ? 0 : 1), 'counters');
    this.checkCount();
  }

  /** After a reset: every buffer that is still out comes back, once. */
  finish(): void {
    const rest = new UsedBurst(this.kind.size);
    this.queue.detachUnused(rest);
    for (const id of rest.token.subarray(0, rest.count)) check(this.out.delete(id), 'detached twice', id);
    check(this.out.size === 0, 'lost', [...this.out.keys()]);
    this.checkCount();
  }

  private checkCount(): void {
    let slots = 0;
    for (const buffer of this.out.values()) slots += buffer.slots;
    check(this.queue.outstanding === this.out.size, 'outstanding', this.queue.outstanding, this.out.size);
    check(this.queue.free === this.kind.size - slots, 'free', this.queue.free, slots);
  }

  private add(a: number, b: number): void {
    const list = new BufferList(this.kind.size);
    const length = 1 + (b % 64);
    for (let at = 0; at <= a % Math.min(4, this.kind.size); at++) {
      if (at < b % 4) list.addReadable(0x1_0000 + 64 * at, length);
      else list.addWritable(0x1_0000 + 64 * at, length);
    }
    const { free } = this.queue;
    const id = this.queue.add(list);
    check(id < this.kind.size, 'an id past the queue', id);
    if (id !== NO_ROOM) this.enter(id, free - this.queue.free, (list.count - list.readable) * length);
  }

  private addBurst(a: number, b: number): void {
    const list = new BufferList(4);
    for (let at = 0; at <= a % 4; at++) list.addWritable(0x1_0fff, 1 + (b % 64), this.nextToken + at);
    const count = this.queue.addBurst(list);
    for (let at = 0; at < count; at++) this.enter(this.nextToken++, 1, 1 + (b % 64));
  }

  private enter(token: number, slots: number, writable: number): void {
    check(token >= 0 && !this.out.has(token), 'a buffer that is out already', token);
    this.out.set(token, { writable, slots, isPublished: false });
  }

  private publish(): void {
    this.queue.publish();
    if (this.queue.broken === 0) for (const buffer of this.out.values()) buffer.isPublished = true;
  }

  private take(a: number): void {
    const isBroken = this.queue.broken !== 0;
    const burst = new UsedBurst(this.kind.capacity);
    const max = a % (this.kind.size + 2);
    const count = this.queue.takeUsed(burst, max);
    check(count <= max && count === burst.count && !(isBroken && count > 0), 'takeUsed', count, max, isBroken);
    for (let i = 0; i < count; i++) {
      const id = burst.token[i]!;
      const buffer = this.out.get(id);
      check(buffer?.isPublished === true, 'a buffer that was not out', id);
      const most = burst.outcome[i] === USED.GOOD ? buffer.writable : 0;
      check(burst.outcome[i]! <= USED.TOO_LONG && burst.written[i]! <= most, 'written', burst.written[i], most);
      this.out.delete(id);
    }
    this.taken += count;
  }
}
