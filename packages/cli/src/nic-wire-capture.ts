import { WireCapture, type WireTap } from '@ringwire/eswitch';
import type { Frame } from '@ringwire/net-backend';
import type { CaptureFile } from '@ringwire/net-uplink';
import { CAPTURE_TIME, type GrowingFile, openCapture } from './capture-file.js';

/** A pcapng file of all that passes a card's wire, PAUSE frames too. */
export class WireCaptureFile implements WireTap, GrowingFile {
  readonly name: string;
  private readonly file: CaptureFile;
  private readonly capture: WireCapture;

  /** @throws UnusableInput when there can be no such file */
  constructor(path: string) {
    this.name = `capture of the wire, ${path},`;
    this.file = openCapture(path);
    this.capture = new WireCapture((bytes) => this.file.write(bytes), { startSeconds: CAPTURE_TIME.startSeconds });
  }

  get problem(): string | undefined {
    return this.file.problem;
  }

  sent(frame: Frame, at: number): void {
    this.capture.sent(frame, CAPTURE_TIME.ofNanoseconds(at));
    this.file.endRecord();
  }

  received(frame: Frame, at: number): void {
    this.capture.received(frame, CAPTURE_TIME.ofNanoseconds(at));
    this.file.endRecord();
  }

  flush(): void {
    this.file.flush();
  }

  close(): void {
    this.file.close();
  }
}
