import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, type NetBackend } from '@ringwire/net-backend';

/** A frame as it left, with the fields that were not zero. */
export interface Sent {
  readonly bytes: Uint8Array;
  readonly pair: number;
  readonly fields: Partial<FrameFields>;
}

/** Offload fields of a frame. */
export interface FrameFields {
  flags: number;
  gsoType: number;
  hdrLen: number;
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
  outerThOffset: number;
  innerNhOffset: number;
}

const FIELDS = [
  'flags',
  'gsoType',
  'hdrLen',
  'gsoSize',
  'csumStart',
  'csumOffset',
  'outerThOffset',
  'innerNhOffset',
] as const;

/** The far end of the cable, for tests: it keeps what comes, and brings what the test gives it. */
export class FakeBackend implements NetBackend {
  offloads = 0;
  readonly sent: Sent[] = [];
  /** What to answer, and after how many frames; ACCEPTED until then. */
  answer: Delivered = DELIVERED.ACCEPTED;
  answerFrom = 0;
  /** Answers of the device to what {@link deliver} brought. */
  readonly outcomes: Delivered[] = [];
  flushes = 0;
  /** When the device is to be stepped, in µs. */
  due: number = Number.POSITIVE_INFINITY;
  /** Called for each frame, before it is kept. */
  onFrame: ((frame: Frame) => void) | undefined;
  device: FrameSink | undefined = undefined;
  private readonly waiting: { bytes: Uint8Array; cuts: readonly number[]; fields: Partial<FrameFields> }[] = [];
  private readonly frame: Frame;
  private readonly memory: HostMemory;
  /** Host offset and bytes of where frames lie while they are delivered. */
  private readonly area: number;

  constructor(memory: HostMemory, area: number) {
    this.memory = memory;
    this.area = area;
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList();
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(frame: Frame): Delivered {
    this.onFrame?.(frame);
    if (this.sent.length >= this.answerFrom && this.answer !== DELIVERED.ACCEPTED) return this.answer;
    const fields = Object.fromEntries(FIELDS.filter((name) => frame[name] !== 0).map((name) => [name, frame[name]]));
    this.sent.push({ bytes: bytesOf(frame), pair: frame.pair, fields });
    return DELIVERED.ACCEPTED;
  }

  flush(): void {
    this.flushes++;
  }

  deadline(): number {
    return this.due;
  }

  /**
   * A frame that is to come to the device.
   * @param cuts offsets in the frame at which another range of memory begins
   */
  deliver(bytes: Uint8Array, fields: Partial<FrameFields> = {}, cuts: readonly number[] = []): void {
    this.waiting.push({ bytes, cuts, fields });
  }

  pump(budget: number): number {
    let done = 0;
    for (; done < budget && this.waiting.length > 0; done++) {
      const { bytes, cuts, fields } = this.waiting[0]!;
      const outcome = this.bring(bytes, fields, cuts);
      this.outcomes.push(outcome);
      if (outcome === DELIVERED.FULL) return done;
      this.waiting.shift();
    }
    return done;
  }

  /** Bring a frame at once. */
  bring(bytes: Uint8Array, fields: Partial<FrameFields> = {}, cuts: readonly number[] = []): Delivered {
    const { frame } = this;
    frame.clearOffloads();
    Object.assign(frame, fields);
    frame.ranges.clear();
    // Ranges lie apart, and the first does not begin where its range does.
    let at = this.area;
    const ends = [...cuts, bytes.length];
    for (const [part, end] of ends.entries()) {
      const from = part === 0 ? 0 : ends[part - 1]!;
      const gap = part === 0 ? 3 : 0;
      this.memory.u8.set(bytes.subarray(from, end), at + gap);
      frame.ranges.push(at, end - from + gap);
      at += end - from + gap + 5;
    }
    frame.first = 0;
    frame.end = frame.ranges.count;
    frame.skip = 3;
    frame.length = bytes.length;
    return this.device!.receive(frame);
  }
}

function bytesOf(frame: Frame): Uint8Array {
  const bytes: number[] = [];
  let skip = frame.skip;
  for (let range = frame.first; range < frame.end; range++) {
    const at = frame.ranges.offset[range]!;
    bytes.push(...frame.memory.u8.subarray(at + skip, at + frame.ranges.length[range]!));
    skip = 0;
  }
  if (bytes.length !== frame.length) throw new Error(`frame of ${frame.length} bytes in ranges of ${bytes.length}`);
  return Uint8Array.from(bytes);
}
