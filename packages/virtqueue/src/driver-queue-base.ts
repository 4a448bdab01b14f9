import { VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import { highWord, lowWord } from './buffer-list.js';
import { BROKEN, type DriverCounters, newDriverCounters } from './driver-queue.js';
import { USED, type UsedBurst } from './used-burst.js';

/** What a driver's queue is in either format: it believes its device until that is found out, and counts. */
export abstract class DriverQueueBase {
  readonly counters: DriverCounters = newDriverCounters();
  outstanding = 0;
  broken = 0;
  #detached = false;

  abstract readonly size: number;
  /** Whether a buffer with the id is with the device. */
  protected abstract isOut(id: number): boolean;
  /** What the buffer with an id is known by to the caller. */
  protected abstract tokenOf(id: number): number;
  /** Take a buffer's id and descriptors back. */
  protected abstract release(id: number): void;

  /** Put a buffer of one element into the ring. @param flags of its descriptor: WRITE or none @returns its id, or NO_ROOM */
  protected abstract addOne(lo: number, hi: number, length: number, flags: number): number;

  addReadable(address: number, length: number): number {
    return this.addOne(lowWord(address), highWord(address), length, 0);
  }

  addWritable(address: number, length: number): number {
    return this.addOne(lowWord(address), highWord(address), length, VIRTQ_DESC_F.WRITE);
  }

  detachUnused(burst: UsedBurst): number {
    const before = burst.count;
    this.#detached = true;
    for (let id = 0; id < this.size && burst.count < burst.capacity; id++) {
      if (!this.isOut(id)) continue;
      burst.push(this.tokenOf(id), 0, USED.UNUSED);
      this.release(id);
    }
    return burst.count - before;
  }

  /** Whether nothing that the device says about used buffers counts: it was found out, or its buffers taken back. */
  protected deaf(): boolean {
    return this.broken !== BROKEN.NONE || this.#detached;
  }

  protected distrust(code: number): false {
    this.broken = code;
    this.counters.broken[code]!++;
    return false;
  }

  /** Append one used buffer. @param length as the device gave it @param writable bytes that it may have written */
  protected report(burst: UsedBurst, id: number, length: number, writable: number): void {
    const token = this.tokenOf(id);
    if (length <= writable) burst.push(token, length, USED.GOOD);
    else if (writable === 0) burst.push(token, 0, USED.GOOD);
    else {
      burst.push(token, 0, USED.TOO_LONG);
      this.counters.tooLong++;
    }
  }
}
