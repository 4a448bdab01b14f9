import { Timestamp } from './capture-clock.js';
import { type CaptureOptions, type CaptureOutput, LINKTYPE_ETHERNET, MOST_CAPTURED } from './capture-options.js';
import type { Frame } from './frame.js';
import { writeFrame } from './frame-pieces.js';
import { DELIVERED, type Delivered, type FrameSink } from './net-backend.js';
import {
  PCAPNG_BLOCK,
  PCAPNG_BYTE_ORDER_MAGIC,
  PCAPNG_FRAME,
  PCAPNG_INTERFACE,
  PCAPNG_OPTION,
  PCAPNG_PACKET,
  PCAPNG_SECTION,
  type PcapngDirection,
  TSRESOL_NANOSECONDS,
} from './pcapng-layout.js';
import { PcapngOptions } from './pcapng-options.js';

/** epb_flags and epb_queue, each 4 bytes behind code and length, and room for the longest padding before them. */
const PADDING = 3;
const FLAGS = PADDING;
const QUEUE = FLAGS + 8;
const OPTIONS_END = QUEUE + 8;
const TRAILER_LENGTH = OPTIONS_END + 4;
const TRAILER_BYTES = TRAILER_LENGTH + 4;

const NO_COMMENT = new Uint8Array(0);

/**
 * Writes frames as a pcapng file, with the interface that each passed, the direction, the queue pair and a comment such
 * as why it was dropped. Little-endian, nanoseconds, Ethernet. draft-ietf-opsawg-pcapng
 */
export class PcapngWriter {
  frames = 0;
  readonly #output: CaptureOutput;
  readonly #options: CaptureOptions;
  readonly #snapLength: number;
  #interfaces = 0;
  readonly #head: Uint8Array = new Uint8Array(PCAPNG_PACKET.data);
  readonly #headView: DataView = new DataView(this.#head.buffer);
  readonly #tail: Uint8Array = new Uint8Array(TRAILER_BYTES);
  readonly #tailView: DataView = new DataView(this.#tail.buffer);
  readonly #time: Timestamp = new Timestamp();

  /** Writes the section header. @param application named in it */
  constructor(output: CaptureOutput, options: CaptureOptions, application = 'ringwire') {
    this.#output = output;
    this.#options = options;
    this.#snapLength = options.snapLength ?? MOST_CAPTURED;
    this.#headView.setUint32(PCAPNG_FRAME.type, PCAPNG_BLOCK.ENHANCED_PACKET, true);
    this.#tailView.setUint16(FLAGS, PCAPNG_OPTION.EPB_FLAGS, true);
    this.#tailView.setUint16(FLAGS + 2, 4, true);
    this.#tailView.setUint16(QUEUE, PCAPNG_OPTION.EPB_QUEUE, true);
    this.#tailView.setUint16(QUEUE + 2, 4, true);
    const section = new DataView(new ArrayBuffer(PCAPNG_SECTION.options));
    section.setUint32(PCAPNG_SECTION.magic, PCAPNG_BYTE_ORDER_MAGIC, true);
    section.setUint16(PCAPNG_SECTION.version_major, 1, true);
    // Its length is not known before it ends.
    section.setBigInt64(PCAPNG_SECTION.section_length, -1n, true);
    const texts = new PcapngOptions();
    texts.text(PCAPNG_OPTION.SHB_USERAPPL, application);
    this.#writeBlock(PCAPNG_BLOCK.SECTION_HEADER, section, texts.finish());
  }

  /**
   * Describe an interface: a port, a function or a queue that frames pass.
   * @returns its number, for {@link write}
   */
  addInterface(name: string, description = ''): number {
    const body = new DataView(new ArrayBuffer(PCAPNG_INTERFACE.options));
    body.setUint16(PCAPNG_INTERFACE.linktype, LINKTYPE_ETHERNET, true);
    body.setUint32(PCAPNG_INTERFACE.snaplen, this.#snapLength, true);
    const options = new PcapngOptions();
    options.text(PCAPNG_OPTION.IF_NAME, name);
    if (description !== '') options.text(PCAPNG_OPTION.IF_DESCRIPTION, description);
    options.bytes(PCAPNG_OPTION.IF_TSRESOL, [TSRESOL_NANOSECONDS]);
    this.#writeBlock(PCAPNG_BLOCK.INTERFACE, body, options.finish());
    return this.#interfaces++;
  }

  /**
   * Write one frame as it is, finished or not.
   * @param interfaceId as {@link addInterface} gave it
   * @param direction   as the interface sees it
   * @param comment     '' for none
   * @param queue       of the interface; the pair that the frame came from unless given
   */
  write(interfaceId: number, frame: Frame, direction: PcapngDirection, comment = '', queue: number = frame.pair): void {
    const kept = Math.min(frame.length, this.#snapLength);
    const padding = -kept & 3;
    const text = comment === '' ? NO_COMMENT : commentOption(comment);
    const total = PCAPNG_PACKET.data + kept + padding + text.length + (TRAILER_BYTES - PADDING);
    const head = this.#headView;
    this.#time.set(this.#options.startSeconds ?? 0, this.#options.clock());
    head.setUint32(PCAPNG_FRAME.total_length, total, true);
    head.setUint32(PCAPNG_PACKET.interface_id, interfaceId, true);
    head.setUint32(PCAPNG_PACKET.timestamp_high, this.#time.high, true);
    head.setUint32(PCAPNG_PACKET.timestamp_low, this.#time.low, true);
    head.setUint32(PCAPNG_PACKET.captured_length, kept, true);
    head.setUint32(PCAPNG_PACKET.original_length, frame.length, true);
    this.#output(this.#head);
    writeFrame(frame, kept, this.#output);
    const tail = this.#tailView;
    tail.setUint32(FLAGS + 4, direction, true);
    tail.setUint32(QUEUE + 4, queue, true);
    tail.setUint32(TRAILER_LENGTH, total, true);
    this.#output(this.#tail.subarray(PADDING - padding, text.length === 0 ? TRAILER_BYTES : OPTIONS_END));
    if (text.length > 0) {
      this.#output(text);
      this.#output(this.#tail.subarray(OPTIONS_END));
    }
    this.frames++;
  }

  /** A sink that writes what it is given, as finished frames of one interface and direction. */
  sink(interfaceId: number, direction: PcapngDirection): FrameSink {
    return {
      offloads: 0,
      receive: (frame: Frame): Delivered => {
        this.write(interfaceId, frame, direction);
        return DELIVERED.ACCEPTED;
      },
    };
  }

  /** @param body with its first 8 bytes, type and length, still to be filled in */
  #writeBlock(type: number, body: DataView, options: Uint8Array): void {
    const total = body.byteLength + options.length + 4;
    body.setUint32(PCAPNG_FRAME.type, type, true);
    body.setUint32(PCAPNG_FRAME.total_length, total, true);
    this.#output(new Uint8Array(body.buffer));
    this.#output(options);
    this.#output(Uint8Array.of(total & 0xff, (total >>> 8) & 0xff, (total >>> 16) & 0xff, total >>> 24));
  }
}

/** The option alone: the packet's end mark comes behind it. */
function commentOption(comment: string): Uint8Array {
  const options = new PcapngOptions();
  options.text(PCAPNG_OPTION.COMMENT, comment);
  return options.finish().subarray(0, -4);
}
