import type { Frame, FrameRun } from './frame.js';

/** What became of a frame that was handed on. */
export const DELIVERED = {
  /** Taken: its bytes were copied or sent. */
  ACCEPTED: 0,
  /** No room now: the frame was not taken, and whoever has it keeps or drops it. */
  FULL: 1,
  /** Refused and counted there: another try would not help. */
  DROPPED: 2,
} as const;
/** One of {@link DELIVERED}. */
export type Delivered = (typeof DELIVERED)[keyof typeof DELIVERED];

/**
 * Offload work that a receiver of frames does not need done for it: bits of {@link FrameSink.offloads}. USO is two, as
 * for a driver: VIRTIO_NET_F_GUEST_USO4 and _USO6.
 */
export const OFFLOAD = {
  CSUM: 1,
  TSO4: 2,
  TSO6: 4,
  ECN: 8,
  UFO: 16,
  USO4: 32,
  USO6: 64,
  TUNNEL: 128,
  TUNNEL_CSUM: 256,
} as const;

/** All `OFFLOAD` bits: frames are taken however unfinished they are. */
export const EVERY_OFFLOAD = 0x1ff;

/** Somewhere a frame can go. */
export interface FrameSink {
  /** `OFFLOAD` bits: a frame that asks for anything else is finished in software before it comes here. */
  readonly offloads: number;
  /** Never throws, never keeps the frame. */
  receive(frame: Frame): Delivered;
  /**
   * Take the first frames of a run, in a loop of one's own instead of a call per frame. A sink that cannot do better than
   * that leaves it out.
   * @returns how many were ACCEPTED; the one behind them comes to {@link receive}, which says why it was not
   */
  receiveRun?(run: FrameRun): number;
  /**
   * A burst of frames is over: what was received becomes visible to whoever waits for it, in one step. To be called after
   * the last `receive` of a burst; a sink that has nothing to do then leaves it out.
   */
  flush?(): void;
}

/** The far end of a network device's cable: takes what the device sends, and brings what it is to receive. */
export interface NetBackend extends FrameSink {
  /** Where frames for the device go; undefined takes it away. Called once when the device is made, and when it ends. */
  attach(device: FrameSink | undefined): void;
  /**
   * The device's driver set it running, or it does not run any more: frames that come in between are not for it. A backend
   * that has nothing to do then leaves it out.
   */
  running?(isRunning: boolean): void;
  /**
   * Bring waiting frames to the device, in the device's own thread.
   * @param budget most frames
   * @returns frames that were taken off the backend; 0: nothing to do until the device has room or frames come
   */
  pump(budget: number): number;
  /**
   * When the device is to be stepped: to be brought frames that are still on their way, or to offer again what was answered
   * with FULL. In µs of the clock that backend and device share. Good behind {@link flush}, which says that a turn of the
   * device's is over. A backend that knows no time leaves it out: it is asked again soon.
   * @returns Infinity when nothing waits
   */
  deadline?(): number;
}
