import { type Frame, PcapngWriter } from '@ringwire/net-backend';
import type { CaptureFile } from '@ringwire/net-uplink';
import { type FrameTrace, PcapngTrace } from '@ringwire/virtio-device';
import { CAPTURE_TIME, type GrowingFile, openCapture } from './capture-file.js';

/** A pcapng file of all frames of all ports, an interface for each port. It can be read while it grows. */
export class ServeTrace implements GrowingFile {
  readonly name = 'trace';
  private readonly file: CaptureFile;
  private readonly writer: PcapngWriter;

  /** @throws UnusableInput when there can be no such file */
  constructor(path: string) {
    this.file = openCapture(path);
    this.writer = new PcapngWriter((bytes) => this.file.write(bytes), CAPTURE_TIME);
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
