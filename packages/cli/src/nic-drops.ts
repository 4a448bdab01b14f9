import {
  type DropWatcher,
  dropName,
  dropText,
  ESWITCH_DROP,
  WIRE_DROP_TEXT,
  type WireDrops,
  type WireDropWatcher,
} from '@ringwire/eswitch';
import { type Frame, PCAPNG_DIRECTION, PcapngWriter } from '@ringwire/net-backend';
import type { CaptureFile } from '@ringwire/net-uplink';
import { CAPTURE_TIME, type GrowingFile, openCapture } from './capture-file.js';
import { portName } from './nic-names.js';

/** Of the wire's port. */
const WIRE = 0;

/** A pcapng file of all frames that a card drops: an interface for each port of its switch, and the reason as the comment. */
export class DropCapture implements DropWatcher, WireDropWatcher, GrowingFile {
  readonly name: string;
  private readonly file: CaptureFile;
  private readonly writer: PcapngWriter;
  private readonly comments: readonly string[];

  /** @param ports how many the switch has. @throws UnusableInput when there can be no such file */
  constructor(path: string, ports: number) {
    this.name = `capture of drops, ${path},`;
    this.file = openCapture(path);
    this.writer = new PcapngWriter((bytes) => this.file.write(bytes), CAPTURE_TIME);
    // Interfaces have the ports' numbers.
    for (let port = 0; port < ports; port++) this.writer.addInterface(portName(port));
    this.file.endRecord();
    this.comments = Object.values(ESWITCH_DROP).map((reason) => `dropped, ${dropName(reason)}: ${dropText(reason)}`);
  }

  get problem(): string | undefined {
    return this.file.problem;
  }

  dropped(port: number, reason: number, frame: Frame): void {
    const isLeaving = reason >= ESWITCH_DROP.NO_DEVICE;
    const direction = isLeaving ? PCAPNG_DIRECTION.OUTBOUND : PCAPNG_DIRECTION.INBOUND;
    this.writer.write(port, frame, direction, this.comments[reason]!);
    this.file.endRecord();
  }

  lost(reason: keyof WireDrops, isSent: boolean, frame: Frame): void {
    const direction = isSent ? PCAPNG_DIRECTION.OUTBOUND : PCAPNG_DIRECTION.INBOUND;
    this.writer.write(WIRE, frame, direction, `dropped, ${reason}: ${WIRE_DROP_TEXT[reason]}`);
    this.file.endRecord();
  }

  flush(): void {
    this.file.flush();
  }

  close(): void {
    this.file.close();
  }
}
