import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, frameBytes, type NetBackend } from '@ringwire/net-backend';

/** The far end of a device's cable: keeps what comes, and sends what it is given. */
export class LabPort implements NetBackend {
  readonly offloads = 0;
  /** What the device sent, since somebody took it. */
  readonly heard: Uint8Array[] = [];
  private readonly memory: HostMemory;
  private readonly at: number;
  private readonly bytes: number;
  private readonly waiting: Uint8Array[] = [];
  private readonly frame: Frame;
  private device: FrameSink | undefined = undefined;

  /** @param at host memory for a frame on its way to the device, `bytes` of it */
  constructor(memory: HostMemory, at: number, bytes: number) {
    this.memory = memory;
    this.at = at;
    this.bytes = bytes;
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(at, 0);
    this.frame.end = 1;
  }

  /** A frame for the device; it takes it in one of its turns. */
  send(frame: Uint8Array): void {
    if (frame.length > this.bytes)
      throw new RangeError(`a frame has ${frame.length} bytes, want ${this.bytes} at most`);
    this.waiting.push(frame.slice());
  }

  /** Frames that the device did not take yet. */
  get left(): number {
    return this.waiting.length;
  }

  /** Nothing is on its way any more. */
  clear(): void {
    this.waiting.length = 0;
    this.heard.length = 0;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(frame: Frame): Delivered {
    this.heard.push(frameBytes(frame).slice());
    return DELIVERED.ACCEPTED;
  }

  pump(budget: number): number {
    let done = 0;
    for (; done < budget && this.waiting.length > 0; done++) {
      const next = this.waiting[0]!;
      this.memory.u8.set(next, this.at);
      this.frame.ranges.length[0] = next.length;
      this.frame.length = next.length;
      if (this.device?.receive(this.frame) === DELIVERED.FULL) break;
      this.waiting.shift();
    }
    return done;
  }

  /** Frames come and go by another end of a cable that is in this thread. */
  exchange(cable: NetBackend): boolean {
    this.device = cable;
    const sent = this.pump(64);
    cable.flush?.();
    return cable.pump(64) + sent > 0;
  }
}
