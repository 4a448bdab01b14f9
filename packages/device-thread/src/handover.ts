import type { HostMemory } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  type Frame,
  FrameQueueReader,
  FrameQueueWriter,
  type SharedQueuePlace,
} from '@ringwire/net-backend';
import { type HandedFrames, NET_SCRATCH_BYTES, type NetShare } from '@ringwire/virtio-device';
import type { ParkingSpot } from './parking-spot.js';
import { laneOfPair } from './queue-lanes.js';

/** What frames wait in on their way from one queue thread to another. */
const FRAMES = 256;
const QUEUE_BYTES = 0x4_0000;
const LINE = 64;

const deviceBytes = Math.ceil(NET_SCRATCH_BYTES / LINE) * LINE;

/** Scratch of one thread's part of the device: the control thread's, and after it those of the queue threads. */
export const partScratch = (scratch: number, part: number): number => scratch + part * deviceBytes;

/**
 * Bytes of host memory that a network device with so many queue threads works in: `scratch` of its model. With more than
 * one it has to be a multiple of 64, and zeros before the device is made.
 */
export function threadScratchBytes(queueThreads: number): number {
  if (queueThreads < 2) return NET_SCRATCH_BYTES;
  return (queueThreads + 1) * deviceBytes + queueThreads * (queueThreads - 1) * QUEUE_BYTES;
}

/** Where frames wait from one queue thread to another. */
function queueBetween(scratch: number, lanes: number, from: number, to: number): SharedQueuePlace {
  const index = from * (lanes - 1) + (to < from ? to : to - 1);
  return { at: partScratch(scratch, lanes + 1) + index * QUEUE_BYTES, bytes: QUEUE_BYTES, frames: FRAMES };
}

export interface HandoverPlace {
  readonly memory: HostMemory;
  /** As of the model's configuration. */
  readonly scratch: number;
  readonly lanes: number;
  /** Whose share this is. */
  readonly lane: number;
  readonly flows: Int32Array;
  /** Where each queue thread sleeps. */
  readonly spots: readonly ParkingSpot[];
}

/** One queue thread's share: a queue to each other one and from each other one, with one writer and one reader each. */
export class Handover implements NetShare {
  readonly flows: Int32Array;
  private readonly lanes: number;
  private readonly lane: number;
  private readonly spots: readonly ParkingSpot[];
  /** By queue thread; none to itself. */
  private readonly writers: readonly (FrameQueueWriter | undefined)[];
  private readonly readers: readonly FrameQueueReader[];
  /** Queue threads that were handed something since the last flush. */
  private readonly owed: Uint8Array;

  constructor({ memory, scratch, lanes, lane, flows, spots }: HandoverPlace) {
    const all = Array.from({ length: lanes }, (_, other) => other);
    this.lanes = lanes;
    this.lane = lane;
    this.flows = flows;
    this.spots = spots;
    this.writers = all.map((to) =>
      to === lane ? undefined : new FrameQueueWriter(memory, queueBetween(scratch, lanes, lane, to)),
    );
    const others = all.filter((from) => from !== lane);
    this.readers = others.map((from) => new FrameQueueReader(memory, queueBetween(scratch, lanes, from, lane)));
    this.owed = new Uint8Array(lanes);
  }

  serves(pair: number): boolean {
    return laneOfPair(pair, this.lanes) === this.lane;
  }

  handOver(frame: Frame, pair: number, note: number, value: number, stamp: number): Delivered {
    const to = laneOfPair(pair, this.lanes);
    this.owed[to] = 1;
    return this.writers[to]!.push(frame, note, value, stamp);
  }

  flush(): void {
    const { owed } = this;
    for (let to = 0; to < owed.length; to++) {
      if (owed[to] === 0) continue;
      owed[to] = 0;
      this.writers[to]!.publish();
      this.spots[to]!.wake();
    }
  }

  pump(budget: number, to: HandedFrames): number {
    let left = 0;
    for (const reader of this.readers) {
      for (let count = 0; count < budget; count++) {
        const frame = reader.peek();
        if (frame === undefined) break;
        if (to.takeHanded(frame, reader.note, reader.value, reader.stamp) === DELIVERED.FULL) break;
        reader.drop();
        left++;
      }
      reader.release();
    }
    return left;
  }

  clear(): void {
    for (const reader of this.readers) reader.clear();
  }
}
