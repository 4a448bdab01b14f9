import type { HostMemory } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  EVERY_OFFLOAD,
  type Frame,
  type FrameSink,
  type Pcap,
  PcapSource,
  PcapWriter,
  pcapBytes,
} from '@ringwire/net-backend';
import { OFFLOAD_AREA_BYTES, OFFLOAD_FAULT, OffloadEngine } from '@ringwire/net-offload';
import { CaptureFile } from './capture-file.js';
import type { Uplink, UplinkCounters } from './uplink.js';

/** Bytes of host memory that a {@link PcapUplink} works in: a multiple of 8. */
export function pcapUplinkBytes(play: Pcap | undefined): number {
  return 8 * Math.ceil((OFFLOAD_AREA_BYTES + (play === undefined ? 0 : pcapBytes(play))) / 8);
}

/** `badOffload`: offload fields do not fit the frame. `unwritten`: the file takes no more. `undelivered`: by the devices. */
type PcapDrop = 'badOffload' | 'unwritten' | 'undelivered';

/** How a {@link PcapUplink} is made. */
export interface PcapUplinkOptions {
  /** Of all frames. */
  readonly memory: HostMemory;
  /** Host offset of {@link pcapUplinkBytes} bytes, a multiple of 8, which nobody else writes. */
  readonly at: number;
  /** Path of the capture that is written: what the devices send. None unless given. */
  readonly write?: string;
  /** Capture that is played to the devices, once. */
  readonly play?: Pcap;
  /** Asked before each burst whether devices are there to be played to; they always are unless given. */
  readonly isAudience?: () => boolean;
}

/**
 * Capture files in place of a wire: what devices send is written to one, and another one is played to them. It has no
 * descriptor to wait for: while something is to be played, somebody has to pump it.
 */
export class PcapUplink implements Uplink {
  readonly name: string;
  readonly fd: number = -1;
  /** Frames are finished here: others may take them unfinished. */
  readonly offloads: number = EVERY_OFFLOAD;
  private readonly counts: UplinkCounters<PcapDrop> = {
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    drops: { badOffload: 0, unwritten: 0, undelivered: 0 },
  };
  private readonly file: CaptureFile | undefined;
  private readonly writer: PcapWriter | undefined;
  private readonly engine: OffloadEngine;
  private readonly wire: FrameSink;
  private readonly source: PcapSource | undefined;
  private readonly isAudience: () => boolean;
  private device: FrameSink | undefined;

  /** @throws VirtioError for a capture that is not of Ethernet frames; an error of Node's for a file that cannot be made */
  constructor({ memory, at, write, play, isAudience = () => true }: PcapUplinkOptions) {
    this.name = `pcap:${write ?? ''}`;
    this.isAudience = isAudience;
    this.engine = new OffloadEngine(memory, at);
    this.wire = { offloads: 0, receive: (frame) => this.record(frame) };
    this.source = play === undefined ? undefined : new PcapSource(play, memory, at + OFFLOAD_AREA_BYTES);
    this.source?.attach({ offloads: EVERY_OFFLOAD, receive: (frame) => this.play(frame) });
    if (write === undefined) return;
    const file = new CaptureFile(write);
    const start = performance.now();
    const options = { clock: () => (performance.now() - start) * 1000, startSeconds: Math.floor(Date.now() / 1000) };
    this.file = file;
    this.writer = new PcapWriter((bytes) => file.write(bytes), options);
    file.endRecord();
  }

  get counters(): UplinkCounters<PcapDrop> {
    return this.counts;
  }

  /** Why nothing is written any more. */
  get problem(): string | undefined {
    return this.file?.problem;
  }

  receive(frame: Frame): Delivered {
    const { engine } = this;
    if (engine.take(frame) === OFFLOAD_FAULT.NONE) return engine.deliver(this.wire);
    this.counts.drops.badOffload++;
    return DELIVERED.DROPPED;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  ready(): void {}

  pump(budget: number): number {
    const { source, device } = this;
    if (source === undefined || source.finished || device === undefined || !this.isAudience()) return 0;
    const left = source.pump(budget);
    if (left > 0) device.flush?.();
    return left;
  }

  /** Write what was gathered. */
  flush(): void {
    this.file?.flush();
  }

  close(): void {
    this.file?.close();
  }

  private play(frame: Frame): Delivered {
    const delivered = this.device!.receive(frame);
    if (delivered === DELIVERED.FULL) return delivered;
    this.counts.received++;
    this.counts.receivedBytes += frame.length;
    if (delivered === DELIVERED.DROPPED) this.counts.drops.undelivered++;
    return delivered;
  }

  /** Without a file frames are gone, as on a wire that nobody listens to. */
  private record(frame: Frame): Delivered {
    const { counts, writer, file } = this;
    if (file?.problem !== undefined) {
      counts.drops.unwritten++;
      return DELIVERED.DROPPED;
    }
    writer?.receive(frame);
    file?.endRecord();
    counts.sent++;
    counts.sentBytes += frame.length;
    return DELIVERED.ACCEPTED;
  }
}
