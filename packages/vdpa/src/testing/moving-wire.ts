import type { HostMemory } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  type Frame,
  FrameQueue,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';

const BYTES = 0x2_0000;
const FRAMES = 64;
/** Host memory that a {@link MovingWire} needs. */
export const MOVING_WIRE_BYTES: number = BYTES;

/** A cable with many ends that comes back to where the guest is: what is on it waits until the guest is somewhere. */
export class MovingWire {
  /** The port behind which the guest is. */
  at = 0;
  private readonly queue: FrameQueue;

  /** @param base host offset of `MOVING_WIRE_BYTES` */
  constructor(memory: HostMemory, base: number) {
    this.queue = new FrameQueue(memory, base, BYTES, FRAMES);
  }

  port(number: number): NetBackend {
    const { queue } = this;
    let sink: FrameSink | undefined;
    return {
      offloads: 0,
      receive: (frame: Frame): Delivered => queue.push(frame),
      attach: (device) => {
        sink = device;
      },
      pump: (budget) => {
        let done = 0;
        for (; this.at === number && sink !== undefined && done < budget; done++) {
          const frame = queue.peek();
          if (frame === undefined || sink.receive(frame) === DELIVERED.FULL) break;
          queue.drop();
        }
        return done;
      },
    };
  }
}
