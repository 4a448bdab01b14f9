import type { CopyEngine, HostMemory } from '@ringwire/guest-memory';
import {
  copyFrame,
  DELIVERED,
  type Delivered,
  EVERY_OFFLOAD,
  type Frame,
  type FrameRun,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import { RangeCopier } from '@ringwire/ring-loops';
import { BUFFER_PITCH } from './guest-layout.js';

/** A burst of DPDK's. */
const SLOTS = 32;
/** Host memory that a port copies into. */
export const COUNTING_PORT_BYTES: number = SLOTS * BUFFER_PITCH;
const ETHERTYPE_AT = 12;
const IPV4 = [0x08, 0x00];
const IPV4_LENGTH_AT = 16;
const ETHERNET = 14;

/**
 * Does with frames what DPDK's rxonly behind its vhost does: a copy of each into a buffer, which is free again behind its
 * burst. DPDK's buffers come from a cache, last in, first out, so each burst goes into the same 32 as the one before.
 */
export class CountingPort implements NetBackend {
  readonly offloads: number = EVERY_OFFLOAD;
  frames = 0;
  /** Frames of another length than the first one. */
  odd = 0;
  private readonly memory: HostMemory;
  private readonly engine: CopyEngine;
  private readonly start: number;
  private readonly copier: RangeCopier;
  private length = 0;
  private slot = 0;

  /** @param start of {@link COUNTING_PORT_BYTES} in host memory */
  constructor(memory: HostMemory, start: number) {
    this.memory = memory;
    this.engine = memory.engine;
    this.start = start;
    this.copier = new RangeCopier(memory, start, BUFFER_PITCH, SLOTS);
  }

  receive(frame: Frame): Delivered {
    const { first, length } = frame;
    const to = this.start + this.slot * BUFFER_PITCH;
    this.slot = (this.slot + 1) & (SLOTS - 1);
    if (frame.end === first + 1) this.engine.copy(to, frame.ranges.offset[first]! + frame.skip, length);
    else copyFrame(frame, 0, this.memory, to, length);
    if (this.frames++ === 0) this.length = length;
    if (length !== this.length) this.odd++;
    return DELIVERED.ACCEPTED;
  }

  receiveRun(run: FrameRun): number {
    const { first, skip } = run;
    const { length } = run.ranges;
    const count = this.copier.copy(run.ranges, first, run.count, skip);
    if (count === 0) return 0;
    if (this.frames === 0) this.length = length[first]! - skip;
    const usual = this.length + skip;
    let { odd } = this;
    for (let i = first; i < first + count; i = (i + 1) | 0) if (length[i] !== usual) odd++;
    this.odd = odd;
    this.frames += count;
    return count;
  }

  attach(_device: FrameSink | undefined): void {}

  pump(_budget: number): number {
    return 0;
  }

  /** What is wrong with the frames that came: all of testpmd's are alike, UDP over IPv4, and say how long they are. */
  problem(bytes: number): string | undefined {
    if (this.odd > 0 || this.length !== bytes)
      return `${this.odd} frames have not ${this.length} bytes, want all ${bytes}`;
    const { u8, view } = this.memory;
    for (let slot = 0; slot < Math.min(SLOTS, this.frames); slot++) {
      const at = this.start + slot * BUFFER_PITCH;
      const isUdp = u8[at + ETHERTYPE_AT] === IPV4[0] && u8[at + ETHERTYPE_AT + 1] === IPV4[1];
      if (!isUdp || view.getUint16(at + IPV4_LENGTH_AT) !== bytes - ETHERNET)
        return `frame ${slot} is none of testpmd's`;
      for (let byte = 0; byte < bytes; byte++)
        if (u8[at + byte] !== u8[this.start + byte])
          return `frame ${slot} is another one than frame 0, from byte ${byte} on`;
    }
    return undefined;
  }
}
