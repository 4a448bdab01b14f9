import type { PortSettings } from '@ringwire/eswitch';
import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  Frame,
  FrameRun,
  type FrameSink,
  frameBytes,
  type NetBackend,
} from '@ringwire/net-backend';
import type { IxgbePort } from '../function-options.js';

/** A frame that was sent, and what was left to be done to it. */
export interface Sent {
  readonly bytes: Uint8Array;
  readonly pair: number;
  readonly flags: number;
  readonly gsoType: number;
}

/** A port of a switch that keeps what is sent, and brings what a test gives it. */
export class FakePort implements NetBackend, IxgbePort {
  readonly backend: NetBackend = this;
  readonly sent: Sent[] = [];
  readonly settings: Partial<PortSettings> = {};
  device: FrameSink | undefined;
  offloads = 0;
  answer: Delivered = DELIVERED.ACCEPTED;
  isUp = true;
  onLink: ((isUp: boolean) => void) | undefined;
  runs: boolean[] = [];
  /** When a port without room has some again, in µs, if it knows. */
  roomAt: number = Number.POSITIVE_INFINITY;
  /** Called with each frame that is sent. */
  onFrame: () => void = () => {};
  private readonly memory: HostMemory;
  private readonly at: number;

  /** @param at host offset of 64 KiB that frames are brought from */
  constructor(memory: HostMemory, at: number) {
    this.memory = memory;
    this.at = at;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  running(isRunning: boolean): void {
    this.runs.push(isRunning);
  }

  pump(): number {
    return 0;
  }

  receive(frame: Frame): Delivered {
    if (this.answer === DELIVERED.ACCEPTED)
      this.sent.push({ bytes: frameBytes(frame), pair: frame.pair, flags: frame.flags, gsoType: frame.gsoType });
    this.onFrame();
    return this.answer;
  }

  deadline(): number {
    return this.roomAt;
  }

  configure(changes: Partial<PortSettings>): void {
    Object.assign(this.settings, changes);
  }

  /** A frame for the device, in pieces of so many bytes each, and the end of the burst. */
  bring(bytes: Uint8Array, pieceBytes: number = bytes.length): Delivered {
    const delivered = this.bringOpen(bytes, pieceBytes);
    this.device!.flush?.();
    return delivered;
  }

  /**
   * Frames with one header for the device, together: what it does not take so comes one by one, as a switch does it.
   * @param rests what is behind the header of each
   * @param inMemory what lies where the header was, after it was looked at
   * @returns how many came together
   */
  bringRun(header: Uint8Array, rests: readonly Uint8Array[], inMemory: Uint8Array = header): number {
    const { memory } = this;
    const run = new FrameRun(memory);
    run.ranges = new RangeList(rests.length);
    let to = this.at;
    for (const rest of rests) {
      memory.u8.set(inMemory, to);
      memory.u8.set(rest, to + header.length);
      run.ranges.push(to, header.length + rest.length);
      to += Math.ceil((header.length + rest.length) / 4) * 4;
    }
    const view = new DataView(header.buffer, header.byteOffset);
    run.count = rests.length;
    run.bytes = run.ranges.bytes();
    run.hasHeader = true;
    run.word0 = view.getInt32(0, true);
    run.word1 = view.getInt32(4, true);
    run.word2 = view.getInt32(8, true);
    run.type16 = view.getUint16(12, true);
    let done = 0;
    let together = 0;
    while (done < rests.length) {
      run.first = done;
      run.count = rests.length - done;
      run.bytes = run.ranges.bytes(done);
      const taken = this.device!.receiveRun!(run);
      together += taken;
      done += taken;
      if (done === rests.length) break;
      memory.u8.set(header, run.ranges.offset[done]!);
      this.deliver(run.ranges, done++);
    }
    this.device!.flush?.();
    return together;
  }

  private deliver(ranges: RangeList, range: number): Delivered {
    const frame = new Frame(this.memory);
    frame.ranges = ranges;
    frame.first = range;
    frame.end = range + 1;
    frame.length = ranges.length[range]!;
    return this.device!.receive(frame);
  }

  /** The same without the end of the burst. */
  bringOpen(bytes: Uint8Array, pieceBytes: number = bytes.length): Delivered {
    const frame = new Frame(this.memory);
    frame.ranges = new RangeList(8);
    // A gap between pieces, so that whoever reads on behind one is found out.
    let to = this.at + 3;
    for (let done = 0; done < bytes.length; done += pieceBytes) {
      const piece = bytes.subarray(done, done + pieceBytes);
      this.memory.u8.set(piece, to);
      frame.ranges.push(to, piece.length);
      to += piece.length + 5;
    }
    if (bytes.length === 0) frame.ranges.push(to, 0);
    frame.end = frame.ranges.count;
    frame.length = bytes.length;
    return this.device!.receive(frame);
  }
}
