import {
  type CaptureOutput,
  type Frame,
  PCAPNG_DIRECTION,
  type PcapngDirection,
  PcapngWriter,
  PcapWriter,
} from '@ringwire/net-backend';
import { microsecondsOf } from '../nanoseconds.js';
import type { WireTap } from './wire-options.js';

/** How a {@link WireCapture} is written. */
export interface WireCaptureOptions {
  /** 'pcapng', which knows which way a frame went, unless given. */
  readonly format?: 'pcapng' | 'pcap';
  /** Name of the interface in it; 'wire' unless given. */
  readonly name?: string;
  /** Most bytes of a frame that are kept. */
  readonly snapLength?: number;
  /** What the clock's 0 is, in whole seconds since 1970; 0 unless given. */
  readonly startSeconds?: number;
}

/**
 * A capture of all that passes a wire, PAUSE frames too: to be set as the wire's `tap`. A frame's time is that of its last
 * bit, to the ns.
 */
export class WireCapture implements WireTap {
  private at = 0;
  private readonly write: (frame: Frame, direction: PcapngDirection) => void;

  constructor(output: CaptureOutput, options: WireCaptureOptions = {}) {
    const { format = 'pcapng', name = 'wire', ...rest } = options;
    const settings = { ...rest, clock: () => this.at };
    if (format === 'pcap') {
      const writer = new PcapWriter(output, settings);
      this.write = (frame) => void writer.receive(frame);
      return;
    }
    const writer = new PcapngWriter(output, settings);
    const wire = writer.addInterface(name);
    this.write = (frame, direction) => writer.write(wire, frame, direction);
  }

  sent(frame: Frame, at: number): void {
    this.show(at);
    this.write(frame, PCAPNG_DIRECTION.OUTBOUND);
  }

  received(frame: Frame, at: number): void {
    this.show(at);
    this.write(frame, PCAPNG_DIRECTION.INBOUND);
  }

  /** Half a ns later, so that the whole ones come out of µs as they went in. */
  private show(at: number): void {
    this.at = microsecondsOf(Math.floor(at) + 0.5);
  }
}
