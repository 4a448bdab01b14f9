import { type Frame, PcapngWriter } from '@ringwire/net-backend';
import { CaptureFile } from '@ringwire/net-uplink';
import { type FrameTrace, PcapngTrace } from '@ringwire/virtio-device';
import { UnusableInput } from './terminal.js';

/** A pcapng file of all frames of all ports, an interface for each port. It can be read while it grows. */
export class ServeTrace {
  private readonly file: CaptureFile;
  private readonly writer: PcapngWriter;

  /** @throws UnusableInput when there can be no such file */
  constructor(path: string) {
    try {
      this.file = new CaptureFile(path);
    } catch (error) {
      throw new UnusableInput(`${path} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
    }
    const start = performance.now();
    this.writer = new PcapngWriter((bytes) => this.file.write(bytes), {
      clock: () => (performance.now() - start) * 1000,
      startSeconds: Math.floor(Date.now() / 1000),
    });
  }

  /** What a port's device tells of its frames. */
  port(socket: string): FrameTrace {
    const { file } = this;
    const trace = new PcapngTrace(this.writer, socket, 'device');
    file.endRecord();
    return {
      transmitted: (pair: number, frame: Frame, drop: number) => {
        trace.transmitted(pair, frame, drop);
        file.endRecord();
      },
      received: (pair: number, frame: Frame, drop: number) => {
        trace.received(pair, frame, drop);
        file.endRecord();
      },
    };
  }

  /** Why nothing is written any more. */
  get problem(): string | undefined {
    return this.file.problem;
  }

  flush(): void {
    this.file.flush();
  }

  close(): void {
    this.file.close();
  }
}
