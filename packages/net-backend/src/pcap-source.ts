import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { LINKTYPE_ETHERNET } from './capture-options.js';
import { Frame } from './frame.js';
import { DELIVERED, type Delivered, EVERY_OFFLOAD, type FrameSink, type NetBackend } from './net-backend.js';
import type { Pcap } from './pcap-reader.js';

/** How a {@link PcapSource} plays. */
export interface PcapSourceOptions {
  /** How often the capture is played; 1 unless given, Infinity for ever. */
  readonly laps?: number;
  /** Where frames go that the device sends; without it they are counted and gone. */
  readonly sent?: FrameSink;
}

/** Plays a capture to a device, as fast as the device takes it. */
export class PcapSource implements NetBackend {
  /** What the device sends is finished as far as the one who gets it needs it. */
  readonly offloads: number;
  /** Frames that the device took, and that it refused. */
  played = 0;
  refused = 0;
  /** Frames that the device sent. */
  received = 0;
  readonly #sent: FrameSink | undefined;
  readonly #frame: Frame;
  #next = 0;
  #lapsLeft: number;
  #device: FrameSink | undefined = undefined;

  /**
   * Copies the frames into memory, once. Those that the capture cut, which are not whole, are left out.
   * @param memory the device's own makes playing cheap
   * @param at     host offset of {@link pcapBytes} bytes for the frames
   * @throws VirtioError for a capture that is not of Ethernet frames, and an area outside the memory
   */
  constructor(capture: Pcap, memory: HostMemory, at: number, options: PcapSourceOptions = {}) {
    if (capture.linkType !== LINKTYPE_ETHERNET) {
      throw new VirtioError('linkType', capture.linkType, '1, Ethernet', 'PcapSource');
    }
    const bytes = pcapBytes(capture);
    if (!Number.isInteger(at) || at < 0 || at + bytes > memory.size) {
      throw new VirtioError('at', at, `${bytes} bytes from there inside the memory's ${memory.size}`, 'PcapSource');
    }
    this.#sent = options.sent;
    this.offloads = options.sent?.offloads ?? EVERY_OFFLOAD;
    this.#lapsLeft = options.laps ?? 1;
    this.#frame = new Frame(memory);
    const ranges = new RangeList(Math.max(1, capture.frames.length));
    this.#frame.ranges = ranges;
    let offset = at;
    for (const frame of capture.frames) {
      if (frame.bytes.length < frame.wireLength) continue;
      memory.u8.set(frame.bytes, offset);
      ranges.push(offset, frame.bytes.length);
      offset += frame.bytes.length;
    }
  }

  /** Everything was played as often as wanted. */
  get finished(): boolean {
    return this.#lapsLeft <= 0 || this.#frame.ranges.count === 0;
  }

  receive(frame: Frame): Delivered {
    const delivered = this.#sent === undefined ? DELIVERED.ACCEPTED : this.#sent.receive(frame);
    if (delivered === DELIVERED.ACCEPTED) this.received++;
    return delivered;
  }

  attach(device: FrameSink | undefined): void {
    this.#device = device;
  }

  pump(budget: number): number {
    const device = this.#device;
    const frame = this.#frame;
    if (device === undefined) return 0;
    let left = 0;
    while (left < budget && !this.finished) {
      frame.first = this.#next;
      frame.end = this.#next + 1;
      frame.length = frame.ranges.length[this.#next]!;
      const delivered = device.receive(frame);
      if (delivered === DELIVERED.FULL) break;
      if (delivered === DELIVERED.ACCEPTED) this.played++;
      else this.refused++;
      left++;
      this.#next++;
      if (this.#next < frame.ranges.count) continue;
      this.#next = 0;
      this.#lapsLeft--;
    }
    return left;
  }
}

/** Bytes of host memory that the frames of a capture take. */
export function pcapBytes(capture: Pcap): number {
  return capture.frames.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
