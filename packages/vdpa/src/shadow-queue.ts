import { RangeList } from '@ringwire/guest-memory';
import { hasFeature, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import {
  BufferList,
  ChainBurst,
  type DeviceQueue,
  type DriverQueue,
  type IndirectTables,
  isRefusal,
  NO_ROOM,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  type QueueRefusal,
  type QueueState,
  TAKE,
  USED,
  UsedBurst,
} from '@ringwire/virtqueue';

const HERE = 'ShadowQueue';
const BURST = 64;
/** What became of a chain that the device was to get. */
const GIVE = { GIVEN: 0, FULL: 1, UNMAPPED: 2 } as const;

/** The ring that the device sees. */
export interface ShadowBack {
  /** In memory of whoever shadows, at addresses of the device. Its layout and size are its own. */
  readonly queue: QueueConfig;
  /** With INDIRECT_DESC: chains of several elements take one slot. */
  readonly tables?: IndirectTables;
}

/** The two rings that a {@link ShadowQueue} is between, and who is told when. */
export interface ShadowQueueConfig {
  /** The ring where the driver put it. IN_ORDER is not among its features. */
  readonly front: QueueConfig;
  /** Where another device left off in it; its start unless given. */
  readonly state?: QueueState;
  readonly back: ShadowBack;
  /** The device's address of host memory, where all of it lies in one piece; -1 for what the driver has unmapped. */
  readonly addressOf: (host: number, bytes: number) => number;
  /** The device wrote a range of host memory: before the driver hears of it. */
  readonly written?: (host: number, bytes: number) => void;
  /** A doorbell of the device. */
  readonly notifyDevice: () => void;
  /** An interrupt of the driver. */
  readonly notifyDriver: () => void;
}

/** A buffer that the device has. */
export interface ShadowChain {
  /** Number in the order of taking, from 0. */
  readonly sequence: number;
  /** Device-readable bytes, device-writable bytes. */
  readonly readable: number;
  readonly writable: number;
}

/** What went through since the queue was opened. */
export interface ShadowCounters {
  /** Chains that the device was given, and that came back. */
  forwarded: number;
  returned: number;
  /**
   * Chains of the driver's that are no chains, have more pieces than the device's ring has slots, or lie in what it unmapped
   * before the device had them: given back empty.
   */
  chainFaults: number;
  /** Lengths that the device claims, and a buffer does not have. */
  tooLong: number;
}

/**
 * A ring between any driver and any device: what the driver makes available is made available to the device in a ring of
 * its own, and what comes back is checked and used in the driver's. So it is known at any time what the device has, memory
 * that the device writes is known before the driver hears of it, and split and packed meet. QEMU calls it a shadow virtqueue.
 *
 * Neither side is believed: a driver's mistakes are counted or end the ring ({@link ringFault}), a device's as well
 * ({@link broken}). Nothing is allocated per buffer.
 */
export class ShadowQueue {
  readonly counters: ShadowCounters = { forwarded: 0, returned: 0, chainFaults: 0, tooLong: 0 };
  private readonly config: ShadowQueueConfig;
  private readonly front: DeviceQueue;
  private back: DriverQueue;
  private epoch = Number.NaN;
  private readonly chain = new ChainBurst(1);
  private readonly used = new UsedBurst(BURST);
  private list: BufferList;
  // Chains in flight, by token: number in the order of taking or -1, ranges, and how many of them the device reads.
  private readonly sequence: Float64Array;
  private readonly ranges: (RangeList | undefined)[] = [];
  private readonly readable: Uint16Array;
  private taken = 0;
  /** A chain that was taken and that the device's ring has no room for now: its token, or -1. */
  private held = -1;

  private constructor(config: ShadowQueueConfig, front: DeviceQueue) {
    this.config = config;
    this.front = front;
    this.back = openDriverQueue(config.back.queue, config.back.tables);
    this.list = new BufferList(config.back.queue.size);
    this.sequence = new Float64Array(front.size).fill(-1);
    this.readable = new Uint16Array(front.size);
  }

  /**
   * @returns why the driver's ring cannot be where it is: nothing was written then
   * @throws VirtioError for a ring of the device that cannot be, or IN_ORDER in the driver's: a device keeps to no order
   */
  static open(config: ShadowQueueConfig): ShadowQueue | QueueRefusal {
    const { front, state } = config;
    if (hasFeature(front.features, VIRTIO_F.IN_ORDER))
      throw new VirtioError('features', 'IN_ORDER', 'none that asks for an order', HERE);
    front.space.enter();
    const queue = openDeviceQueue(front, state);
    front.space.leave();
    return isRefusal(queue) ? queue : new ShadowQueue(config, queue);
  }

  /** Chains that the device has, or is to get. */
  get inFlight(): number {
    return this.front.inFlight;
  }

  /** 0, or the `RING_FAULT` for which the driver's ring is touched no more. */
  get ringFault(): number {
    return this.front.ringFault;
  }

  /** 0, or the `BROKEN` code for which the device is not believed any more. */
  get broken(): number {
    return this.back.broken;
  }

  /** Chains that the device has, in the order in which they were taken. */
  chainsInFlight(): readonly ShadowChain[] {
    return this.tokensInFlight().map((token) => {
      const ranges = this.ranges[token]!;
      const readable = ranges.bytes(0, this.readable[token]!);
      return { sequence: this.sequence[token]!, readable, writable: ranges.bytes() - readable };
    });
  }

  /**
   * Forward in both directions.
   * @param budget most chains in each
   * @returns chains that moved
   */
  turn(budget: number): number {
    const { space } = this.config.front;
    const epoch = space.enter();
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      this.front.refresh();
    }
    const moved = this.bringBack(budget) + this.forward(budget);
    space.leave();
    return moved;
  }

  /** Where the driver's ring goes on without this one; undefined while the device has chains: see {@link giveBack}. */
  save(): QueueState | undefined {
    return this.front.inFlight === 0 ? this.front.save() : undefined;
  }

  /**
   * The device does nothing more: take what it has used, and give the rest back to the driver's ring as if it had not been
   * taken.
   * @returns chains that cannot be given back so, because later ones were used: the device has to use them, or another one
   *          ({@link moveTo})
   */
  giveBack(): number {
    const { space } = this.config.front;
    space.enter();
    this.front.refresh();
    this.bringBack(Number.POSITIVE_INFINITY);
    for (const token of this.tokensInFlight().reverse()) {
      // What was taken behind it was used: the ring cannot go back over that.
      if (this.sequence[token] !== this.taken - 1) break;
      this.front.untake(token);
      this.sequence[token] = -1;
      if (this.held === token) this.held = -1;
      this.taken--;
    }
    space.leave();
    return this.front.inFlight;
  }

  /**
   * Another device takes over, with a ring of its own: whatever the last one has not given back is given to it, in order. What
   * the last one did with these buffers and did not tell is done again.
   * @throws VirtioError for a ring that cannot be, or has no room for what is in flight: then nothing has changed
   */
  moveTo(back: ShadowBack): void {
    const next = openDriverQueue(back.queue, back.tables);
    if (next.size > this.list.capacity) this.list = new BufferList(next.size);
    const unmapped: number[] = [];
    for (const token of this.tokensInFlight()) {
      const list = this.listOf(token);
      if (list === undefined) unmapped.push(token);
      else if (next.add(list, undefined, token) === NO_ROOM)
        throw new VirtioError('back.queue.size', back.queue.size, `room for ${this.inFlight} chains`, HERE);
    }
    this.back = next;
    this.held = -1;
    if (next.publish()) this.config.notifyDevice();
    if (unmapped.length > 0) this.giveUp(unmapped);
  }

  /** End the ring: the driver's memory is touched no more. */
  stop(): void {
    this.front.stop();
  }

  private forward(budget: number): number {
    const { front, chain } = this;
    let done = 0;
    let added = 0;
    let faults = 0;
    if (this.held >= 0) {
      const given = this.give(this.held);
      if (given === GIVE.FULL) return 0;
      if (given === GIVE.GIVEN) added++;
      else {
        done++;
        faults++;
        this.finish(this.held, 0);
      }
      this.held = -1;
    }
    for (; done < budget; done++) {
      chain.clear();
      const taken = front.takeAvailable(chain);
      if (taken !== TAKE.CHAIN && taken !== TAKE.CHAIN_FAULT) break;
      const token = chain.token[0]!;
      if (taken === TAKE.CHAIN_FAULT || !this.keep(token)) {
        faults++;
        this.taken++;
        this.finish(token, 0);
        continue;
      }
      const given = this.give(token);
      if (given === GIVE.GIVEN) added++;
      else if (given === GIVE.UNMAPPED) {
        faults++;
        this.finish(token, 0);
      } else {
        this.held = token;
        break;
      }
    }
    this.counters.chainFaults += faults;
    if (faults > 0 && front.publishUsed()) this.config.notifyDriver();
    if (added > 0 && this.back.publish()) this.config.notifyDevice();
    // Ring empty: notifications on, then one more look. virtio 1.4 §2.7.10
    if (done < budget && this.held < 0 && front.ringFault === 0 && front.enableNotifications()) return done + 1;
    return done + added;
  }

  private bringBack(budget: number): number {
    const { back, used, front } = this;
    let done = 0;
    while (done < budget) {
      used.clear();
      const taken = back.takeUsed(used, Math.min(BURST, budget - done));
      for (let i = 0; i < taken; i++) {
        const isGood = used.outcome[i] === USED.GOOD;
        if (!isGood) this.counters.tooLong++;
        this.counters.returned++;
        this.finish(used.token[i]!, isGood ? used.written[i]! : 0);
      }
      done += taken;
      if (taken === 0 && !back.enableNotifications()) break;
      if (taken === 0 && back.broken !== 0) break;
    }
    if (done > 0 && front.publishUsed()) this.config.notifyDriver();
    return done;
  }

  /** Note a chain's ranges. @returns false for one with more pieces than the device's ring takes */
  private keep(token: number): boolean {
    const { segments, first, firstWritable } = this.chain;
    const end = this.chain.end(0);
    if (end - first[0]! > this.back.size) return false;
    let ranges = this.ranges[token];
    if (ranges === undefined) {
      ranges = new RangeList(4);
      this.ranges[token] = ranges;
    }
    ranges.clear();
    for (let at = first[0]!; at < end; at++) ranges.push(segments.offset[at]!, segments.length[at]!);
    this.readable[token] = firstWritable[0]! - first[0]!;
    this.sequence[token] = this.taken++;
    return true;
  }

  /** @returns a `GIVE`: FULL while the device's ring has no room */
  private give(token: number): number {
    const list = this.listOf(token);
    if (list === undefined) return GIVE.UNMAPPED;
    if (this.back.add(list, undefined, token) === NO_ROOM) return GIVE.FULL;
    this.counters.forwarded++;
    return GIVE.GIVEN;
  }

  /** Chains that the device cannot have go back to the driver, in a burst of their own. */
  private giveUp(tokens: readonly number[]): void {
    const { space } = this.config.front;
    space.enter();
    this.front.refresh();
    for (const token of tokens) this.finish(token, 0);
    this.counters.chainFaults += tokens.length;
    if (this.front.publishUsed()) this.config.notifyDriver();
    space.leave();
  }

  /** @returns undefined for a chain of which a piece is not mapped any more */
  private listOf(token: number): BufferList | undefined {
    const { list } = this;
    const ranges = this.ranges[token]!;
    const readable = this.readable[token]!;
    list.clear();
    for (let at = 0; at < ranges.count; at++) {
      const address = this.config.addressOf(ranges.offset[at]!, ranges.length[at]!);
      if (address < 0) return undefined;
      if (at < readable) list.addReadable(address, ranges.length[at]!);
      else list.addWritable(address, ranges.length[at]!);
    }
    return list;
  }

  private finish(token: number, written: number): void {
    const { written: tell } = this.config;
    const ranges = this.ranges[token];
    // A buffer that was given to the device may have been written beyond what it says.
    if (tell !== undefined && ranges !== undefined && this.sequence[token]! >= 0)
      for (let at = this.readable[token]!; at < ranges.count; at++) tell(ranges.offset[at]!, ranges.length[at]!);
    this.sequence[token] = -1;
    this.front.putUsed(token, written);
  }

  private tokensInFlight(): number[] {
    const tokens: number[] = [];
    for (let token = 0; token < this.sequence.length; token++) if (this.sequence[token]! >= 0) tokens.push(token);
    return tokens.sort((a, b) => this.sequence[a]! - this.sequence[b]!);
  }
}
