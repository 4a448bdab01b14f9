import type { GuestRegion } from '@ringwire/guest-memory';
import { ChainBurst } from '../chain-burst.js';
import type { DeviceQueue } from '../device-queue.js';
import { openDeviceQueue } from '../open-queue.js';
import { isRefusal, type QueueConfig } from '../queue-layout.js';
import type { QueueState } from '../queue-state.js';
import { check } from './loopback.js';
import type { Kind } from './random-queue.js';

/** A device queue, and what it has to hold on to whatever is written into its rings. */
export class DeviceUnderAttack {
  queue: DeviceQueue;
  /** Chains taken: good ones and all. */
  good = 0;
  taken = 0;
  private readonly kind: Kind;
  private readonly config: QueueConfig;
  private readonly regions: readonly GuestRegion[];
  private readonly inFlight: { readonly token: number; readonly writable: number }[] = [];
  /** The token taken last, as long as nothing was put since. */
  private fresh: number | undefined;

  constructor(kind: Kind, config: QueueConfig, regions: readonly GuestRegion[]) {
    this.kind = kind;
    this.config = config;
    this.regions = regions;
    this.queue = this.open();
  }

  step(act: number, a: number, b: number): void {
    const { ringFault } = this.queue;
    if (act <= 1) this.take(a);
    else if (act <= 3) this.put(a, b);
    else if (act === 4) this.queue.publishUsed();
    else if (act === 5) this.untake();
    else if (act === 6) this.move();
    else if (a % 2 === 0) this.queue.disableNotifications();
    else this.queue.enableNotifications();
    const { counters, inFlight } = this.queue;
    // A device that moved is a new one, with counters of its own.
    check(act === 6 || ringFault === 0 || this.queue.ringFault === ringFault, 'ring fault', ringFault);
    const faults = counters.ringFaults.reduce((sum, count) => sum + count);
    check(faults === (this.queue.ringFault === 0 ? 0 : 1), 'counters', faults);
    check(inFlight === this.inFlight.length && inFlight <= this.kind.size, 'in flight', inFlight);
  }

  private take(a: number): void {
    const isBroken = this.queue.ringFault !== 0;
    const burst = new ChainBurst(this.kind.capacity);
    const max = a % (this.kind.size + 2);
    const count = this.queue.takeBurst(burst, max);
    check(count <= max && count === burst.count && !(isBroken && count > 0), 'takeBurst', count, max, isBroken);
    for (let i = 0; i < count; i++) {
      const segments = burst.end(i) - burst.first[i]!;
      check((burst.fault[i] === 0) === segments > 0, 'segments', burst.fault[i], segments);
      for (let s = burst.first[i]!; s < burst.end(i); s++) {
        const from = burst.segments.offset[s]!;
        const length = burst.segments.length[s]!;
        const isInside = this.regions.some(({ host, size }) => from >= host && from + length <= host + size);
        check(isInside && length > 0, 'a segment out of memory', from, length);
      }
      const token = burst.token[i]!;
      check(!this.inFlight.some((entry) => entry.token === token), 'a token twice', token);
      this.inFlight.push({ token, writable: burst.writableBytes(i) });
      this.fresh = token;
      if (burst.fault[i] === 0) this.good++;
    }
    this.taken += count;
  }

  private put(a: number, b: number): void {
    if (this.inFlight.length === 0) return;
    const [entry] = this.inFlight.splice(this.kind.inOrder ? 0 : a % this.inFlight.length, 1);
    this.queue.putUsed(entry!.token, b % 2 === 0 ? Math.min(entry!.writable, 0xffff_ffff) : 0);
    this.fresh = undefined;
  }

  private untake(): void {
    if (this.fresh === undefined || this.inFlight.at(-1)?.token !== this.fresh) return;
    this.queue.untake(this.fresh);
    this.inFlight.pop();
    this.fresh = undefined;
  }

  /** Saved and opened again, with nothing in flight. */
  private move(): void {
    this.queue.publishUsed();
    if (this.inFlight.length > 0 || this.queue.ringFault !== 0) return;
    this.queue = this.open(this.queue.save());
  }

  private open(state?: QueueState): DeviceQueue {
    const queue = openDeviceQueue(this.config, state);
    if (isRefusal(queue)) throw new Error(queue.message);
    return queue;
  }
}
