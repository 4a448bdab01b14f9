import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { frameBytes } from '../copy-frame.js';
import { Frame } from '../frame.js';
import { DELIVERED, type Delivered, type FrameSink, type NetBackend } from '../net-backend.js';

/** The offload fields of a frame. */
export interface FrameFields {
  flags: number;
  gsoType: number;
  gsoSize: number;
  hdrLen: number;
  csumStart: number;
  csumOffset: number;
  outerThOffset: number;
  innerNhOffset: number;
  pair: number;
}

/** What a frame was when it was received. */
export interface ScriptedFrame extends FrameFields {
  readonly bytes: Uint8Array;
  /** Host offset of each range. */
  readonly offsets: readonly number[];
}

/** A backend for tests: keeps a copy of each frame that it takes, answers by a script, and brings frames by a script. */
export class ScriptedBackend implements NetBackend {
  readonly offloads: number;
  readonly frames: ScriptedFrame[] = [];
  /** Answers to the next frames; ACCEPTED to all that follow. */
  readonly answers: Delivered[];
  device: FrameSink | undefined = undefined;
  /** What the device answered to the frames that {@link pump} brought. */
  readonly delivered: Delivered[] = [];
  readonly #waiting: { bytes: Uint8Array; fields: Partial<FrameFields> }[] = [];

  constructor(offloads = 0, answers: Delivered[] = []) {
    this.offloads = offloads;
    this.answers = answers;
  }

  /** The bytes of every frame taken. */
  get bytes(): Uint8Array[] {
    return this.frames.map(({ bytes }) => bytes);
  }

  receive(frame: Frame): Delivered {
    const answer = this.answers.shift() ?? DELIVERED.ACCEPTED;
    if (answer !== DELIVERED.ACCEPTED) return answer;
    const { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset, outerThOffset, innerNhOffset, pair } = frame;
    const fields = { flags, gsoType, gsoSize, hdrLen, csumStart, csumOffset, outerThOffset, innerNhOffset, pair };
    const offsets = [...frame.ranges.offset.subarray(frame.first, frame.end)];
    this.frames.push({ bytes: frameBytes(frame), ...fields, offsets });
    return answer;
  }

  /** Have `pump` bring a frame, complete unless `fields` say what is to be done to it. */
  bring(bytes: Uint8Array, fields: Partial<FrameFields> = {}): void {
    this.#waiting.push({ bytes, fields });
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  pump(budget: number): number {
    let left = 0;
    for (; left < budget && this.#waiting.length > 0 && this.device !== undefined; left++) {
      const { bytes, fields } = this.#waiting[0]!;
      const answer = this.device.receive(Object.assign(frameWith(bytes), fields));
      this.delivered.push(answer);
      if (answer === DELIVERED.FULL) break;
      this.#waiting.shift();
    }
    return left;
  }
}

/** A frame of one range in a memory of its own. */
export function frameWith(bytes: Uint8Array): Frame {
  const memory = HostMemory.create(Math.max(1, bytes.length));
  memory.u8.set(bytes);
  const frame = new Frame(memory);
  frame.ranges = new RangeList(1);
  frame.ranges.push(0, bytes.length);
  frame.end = 1;
  frame.length = bytes.length;
  return frame;
}
