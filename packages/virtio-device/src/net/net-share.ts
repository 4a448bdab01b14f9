import type { Delivered, Frame } from '@ringwire/net-backend';
import type { Statistics } from './net-statistics.js';

/** Where a frame goes that another thread steered to a queue of this one: see {@link NetShare.pump}. */
export interface HandedFrames {
  /** @param note, value, stamp as {@link NetShare.handOver} was given them */
  takeHanded(frame: Frame, note: number, value: number, stamp: number): Delivered;
}

/**
 * A thread's share in a network device whose pairs several threads serve, each with a `NetDevice` of its own that is told
 * the same: frames are steered where they come in, and handed over to the thread that serves their queue.
 */
export interface NetShare {
  /** Whether this thread serves a pair. */
  serves(pair: number): boolean;
  /** Of all threads: 2 · 4096 words, zeros at first. */
  readonly flows: Int32Array;
  /** Hand a frame over to the thread that serves a pair. @returns FULL without room for it now */
  handOver(frame: Frame, pair: number, note: number, value: number, stamp: number): Delivered;
  /** What was handed over becomes visible to the others. */
  flush(): void;
  /** Bring frames that others handed over, until there is no room. @returns how many left */
  pump(budget: number, to: HandedFrames): number;
  /** The device starts: frames that wait are of its former life. */
  clear(): void;
}

/** The control plane of such a device, which serves no pair: what it has to do with the others. */
export interface NetParts {
  /** A control command was carried out here: all others do the same, before it is answered. @param command class, command, data */
  commanded(command: Uint8Array): void;
  /** Set statistics to what all the others counted together. @param statistics by virtqueue index */
  gather(statistics: readonly Statistics[]): void;
}
