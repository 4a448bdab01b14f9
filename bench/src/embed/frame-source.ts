import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, type NetBackend } from '@ringwire/net-backend';

/** Brings our card frames, all alike: what finds no buffer stays here until there is one. What the card sends is told of. */
export class SourcePort implements NetBackend {
  readonly offloads = 0;
  /** Frames that wait. */
  waiting = 0;
  /** Frames that the card refused. */
  refused = 0;
  private readonly frame: Frame;
  private readonly sent: NetBackend;
  private device: FrameSink | undefined = undefined;

  /**
   * @param bytes of each frame, zeros behind its beginning
   * @param sent takes what the card sends
   */
  constructor(bytes: number, sent: NetBackend) {
    this.sent = sent;
    this.frame = frameOf(new Uint8Array(bytes));
  }

  /** What frames begin with. */
  begin(bytes: Uint8Array): void {
    this.frame.memory.u8.set(bytes);
  }

  /** Another frame, once; without a buffer it is gone. */
  insert(bytes: Uint8Array): void {
    this.device?.receive(frameOf(bytes));
    this.device?.flush?.();
  }

  offer(frames: number): void {
    this.waiting += frames;
    this.pump(frames);
  }

  receive(frame: Frame): Delivered {
    return this.sent.receive(frame);
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  pump(budget: number): number {
    const { device, frame } = this;
    if (device === undefined) return 0;
    let taken = 0;
    for (; taken < budget && this.waiting > 0; taken++) {
      const delivered = device.receive(frame);
      if (delivered === DELIVERED.FULL) break;
      if (delivered === DELIVERED.DROPPED) this.refused++;
      this.waiting--;
    }
    device.flush?.();
    return taken;
  }
}

function frameOf(bytes: Uint8Array): Frame {
  const memory = HostMemory.wrap(new ArrayBuffer((bytes.length + 7) & ~7));
  memory.u8.set(bytes);
  const frame = new Frame(memory);
  frame.ranges = new RangeList(1);
  frame.ranges.push(0, bytes.length);
  frame.end = 1;
  frame.length = bytes.length;
  return frame;
}
