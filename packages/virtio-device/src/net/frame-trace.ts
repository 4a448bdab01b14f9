import { DELIVERED, type Delivered, type Frame, type FrameSink, type NetBackend } from '@ringwire/net-backend';

/** In place of a `NET_DROP`: nothing befell the frame. */
export const NO_DROP = -1;

/**
 * What a network device tells of each frame, once its fate is known. Given as `trace` when the device is made; without
 * it nothing is called. The frame is good during the call.
 */
export interface FrameTrace {
  /**
   * A frame of the driver's left, or was given up. One that waits because the backend has no room is told of later.
   * @param frame as it left, finished or not; of length 0 where the chain holds none
   * @param drop  a `NET_DROP`, or `NO_DROP`
   */
  transmitted(pair: number, frame: Frame, drop: number): void;
  /**
   * A frame for the driver lies in its buffers, or was given up. One that is left to the backend is told of later.
   * @param pair that it was steered to, or -1 when it was given up before
   */
  received(pair: number, frame: Frame, drop: number): void;
}

/** A backend that tells a trace of the frames that it takes. */
export class TracedBackend implements NetBackend {
  private readonly inner: NetBackend;
  private readonly trace: FrameTrace;

  constructor(inner: NetBackend, trace: FrameTrace) {
    this.inner = inner;
    this.trace = trace;
  }

  get offloads(): number {
    return this.inner.offloads;
  }

  receive(frame: Frame): Delivered {
    const delivered = this.inner.receive(frame);
    if (delivered === DELIVERED.ACCEPTED) this.trace.transmitted(frame.pair, frame, NO_DROP);
    return delivered;
  }

  attach(device: FrameSink | undefined): void {
    this.inner.attach(device);
  }

  running(isRunning: boolean): void {
    this.inner.running?.(isRunning);
  }

  pump(budget: number): number {
    return this.inner.pump(budget);
  }

  flush(): void {
    this.inner.flush?.();
  }

  deadline(): number {
    return this.inner.deadline?.() ?? Number.POSITIVE_INFINITY;
  }
}
