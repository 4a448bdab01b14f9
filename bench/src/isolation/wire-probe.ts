import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, frameBytes, type NetBackend } from '@ringwire/net-backend';

/** What is plugged into a card's wire: takes what leaves, and sends frames to the card. */
export class WireProbe implements NetBackend {
  readonly offloads = 0;
  /** Told of each frame that leaves. */
  heard: ((bytes: Uint8Array) => void) | undefined = undefined;
  private readonly frame: Frame;
  private card: FrameSink | undefined = undefined;

  /** @param at host offset of 64 KiB that frames are sent from */
  constructor(memory: HostMemory, at: number) {
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(at, 0);
    this.frame.end = 1;
  }

  attach(device: FrameSink | undefined): void {
    this.card = device;
  }

  receive(frame: Frame): Delivered {
    this.heard?.(frameBytes(frame));
    return DELIVERED.ACCEPTED;
  }

  pump(): number {
    return 0;
  }

  /** @returns whether the wire took it */
  send(bytes: Uint8Array): boolean {
    const { frame } = this;
    frame.memory.u8.set(bytes, frame.ranges.offset[0]!);
    frame.ranges.length[0] = bytes.length;
    frame.length = bytes.length;
    const delivered = this.card?.receive(frame);
    this.card?.flush?.();
    return delivered === DELIVERED.ACCEPTED;
  }
}
