import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { BROUGHT_FRAME_BYTES, BroughtFrame, Frame } from '@ringwire/net-backend';
import type { OffloadCounters } from './offload-fault.js';
import { HEADER_BYTES } from './parse-frame.js';
import { Segmenter } from './segmenter.js';

/** Bytes behind it: headers, and those of segments. */
const WORK_BYTES = 4096;

/** Where an engine works on a frame: memory for a copy of its headers, and for those of its segments. */
export class Workplace {
  readonly memory: HostMemory;
  readonly headersAt: number;
  /** The frame in hand. */
  readonly frame: Frame;
  readonly segmenter: Segmenter;

  /** @param at host offset of OFFLOAD_AREA_BYTES bytes */
  constructor(memory: HostMemory, at: number, counters: OffloadCounters) {
    this.memory = memory;
    this.headersAt = at;
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(32);
    this.segmenter = new Segmenter(memory, at + HEADER_BYTES, counters);
  }
}

/** A workplace in a memory of its own, where frames of any memory are brought. */
export class AwayWorkplace extends Workplace {
  private readonly brought: BroughtFrame;

  constructor(counters: OffloadCounters) {
    const memory = HostMemory.wrap(new ArrayBuffer(BROUGHT_FRAME_BYTES + WORK_BYTES));
    super(memory, BROUGHT_FRAME_BYTES, counters);
    this.brought = new BroughtFrame(memory, 0);
  }

  /** @returns a copy, good until the next one; undefined of a frame that is too long: nothing grows by what somebody sends */
  bring(frame: Frame): Frame | undefined {
    return this.brought.bring(frame);
  }
}
