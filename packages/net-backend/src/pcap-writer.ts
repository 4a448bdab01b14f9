import { Timestamp } from './capture-clock.js';
import { type CaptureOptions, type CaptureOutput, LINKTYPE_ETHERNET, MOST_CAPTURED } from './capture-options.js';
import type { Frame } from './frame.js';
import { writeFrame } from './frame-pieces.js';
import { DELIVERED, type Delivered, type FrameSink } from './net-backend.js';
import { PCAP_HEADER, PCAP_MAGIC, PCAP_RECORD } from './pcap-layout.js';

/** Writes frames as a classic capture file: little-endian, nanoseconds, Ethernet. */
export class PcapWriter implements FrameSink {
  /** A capture is of finished frames. */
  readonly offloads = 0;
  frames = 0;
  readonly #output: CaptureOutput;
  readonly #options: CaptureOptions;
  readonly #snapLength: number;
  readonly #record: Uint8Array = new Uint8Array(PCAP_RECORD.SIZE);
  readonly #view: DataView = new DataView(this.#record.buffer);
  readonly #time: Timestamp = new Timestamp();

  /** Writes the file header. */
  constructor(output: CaptureOutput, options: CaptureOptions) {
    this.#output = output;
    this.#options = options;
    this.#snapLength = options.snapLength ?? MOST_CAPTURED;
    const header = new DataView(new ArrayBuffer(PCAP_HEADER.SIZE));
    header.setUint32(PCAP_HEADER.magic, PCAP_MAGIC.NANOSECONDS, true);
    header.setUint16(PCAP_HEADER.version_major, 2, true);
    header.setUint16(PCAP_HEADER.version_minor, 4, true);
    header.setUint32(PCAP_HEADER.snaplen, this.#snapLength, true);
    header.setUint32(PCAP_HEADER.linktype, LINKTYPE_ETHERNET, true);
    output(new Uint8Array(header.buffer));
  }

  receive(frame: Frame): Delivered {
    const kept = Math.min(frame.length, this.#snapLength);
    const time = this.#time;
    time.set(this.#options.startSeconds ?? 0, this.#options.clock());
    this.#view.setUint32(PCAP_RECORD.ts_sec, time.seconds, true);
    this.#view.setUint32(PCAP_RECORD.ts_frac, time.nanoseconds, true);
    this.#view.setUint32(PCAP_RECORD.incl_len, kept, true);
    this.#view.setUint32(PCAP_RECORD.orig_len, frame.length, true);
    this.#output(this.#record);
    writeFrame(frame, kept, this.#output);
    this.frames++;
    return DELIVERED.ACCEPTED;
  }
}
