import {
  type Delivered,
  type Frame,
  type FrameSink,
  type NetBackend,
  PCAPNG_DIRECTION,
  type PcapngWriter,
} from '@ringwire/net-backend';

/** Listens at one end of a cable, and writes the first frames that its device sends. */
export class Tap implements NetBackend {
  private readonly inner: NetBackend;
  private readonly writer: PcapngWriter;
  private readonly port: number;
  private left: number;

  constructor(inner: NetBackend, writer: PcapngWriter, port: number, frames: number) {
    this.inner = inner;
    this.writer = writer;
    this.port = port;
    this.left = frames;
  }

  get offloads(): number {
    return this.inner.offloads;
  }

  receive(frame: Frame): Delivered {
    if (this.left > 0) {
      this.left--;
      this.writer.write(this.port, frame, PCAPNG_DIRECTION.OUTBOUND);
    }
    return this.inner.receive(frame);
  }

  flush(): void {
    this.inner.flush?.();
  }

  attach(device: FrameSink | undefined): void {
    this.inner.attach(device);
  }

  pump(budget: number): number {
    return this.inner.pump(budget);
  }
}
