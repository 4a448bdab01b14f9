import { type AddressSpace, copyRanges } from '@ringwire/guest-memory';
import { CHAIN_FAULT, ChainBurst, type DeviceQueue, faultName } from '@ringwire/virtqueue';

/** What a turn of an {@link EchoDevice} came to. */
export interface EchoTurn {
  readonly taken: number;
  /** Bytes written into each buffer, in the order taken. */
  readonly written: readonly number[];
  /** Names of the chains' faults. */
  readonly faults: readonly string[];
}

/** A device that answers each buffer with the bytes that it was asked, as many as fit. */
export class EchoDevice {
  readonly queue: DeviceQueue;
  private readonly space: AddressSpace;
  private readonly burst = new ChainBurst(16);
  private epoch: number;

  /** @param space what the queue was opened with */
  constructor(queue: DeviceQueue, space: AddressSpace) {
    this.queue = queue;
    this.space = space;
    this.epoch = space.enter();
    space.leave();
  }

  /** One burst. @param inBurst called when the chains are taken and nothing is written yet */
  turn(inBurst: () => void = () => {}): EchoTurn {
    const { space, queue, burst } = this;
    const epoch = space.enter();
    if (epoch !== this.epoch) queue.refresh();
    this.epoch = epoch;
    burst.clear();
    const taken = queue.takeBurst(burst, burst.capacity);
    inBurst();
    const written: number[] = [];
    for (let i = 0; i < taken; i++) {
      const first = burst.first[i]!;
      const middle = burst.firstWritable[i]!;
      const { segments } = burst;
      const bytes = copyRanges(space.memory, segments, middle, burst.end(i) - middle, segments, first, middle - first);
      burst.written[i] = bytes;
      written.push(bytes);
    }
    const faults = [...burst.fault.subarray(0, taken)].filter((code) => code !== 0);
    queue.putUsedBurst(burst, 0, taken);
    if (taken > 0) queue.publishUsed();
    space.leave();
    return { taken, written, faults: faults.map((code) => faultName(CHAIN_FAULT, code)) };
  }
}
