import type { Frame, FrameRun } from './frame.js';
import { DELIVERED, type Delivered, EVERY_OFFLOAD, type FrameSink, type NetBackend } from './net-backend.js';

/** A cable with nobody at its far end: what is sent is counted, and nothing comes. */
export class NullBackend implements NetBackend {
  readonly offloads: number = EVERY_OFFLOAD;
  frames = 0;
  bytes = 0;

  receive(frame: Frame): Delivered {
    this.frames++;
    this.bytes += frame.length;
    return DELIVERED.ACCEPTED;
  }

  receiveRun({ count, bytes }: FrameRun): number {
    this.frames += count;
    this.bytes += bytes;
    return count;
  }

  attach(_device: FrameSink | undefined): void {}

  pump(_budget: number): number {
    return 0;
  }
}
