import type { HostMemory } from '@ringwire/guest-memory';
import type { QueueState } from '@ringwire/virtqueue';

/** One ring's region of the area that a front-end keeps. */
export interface InflightRegion {
  readonly memory: HostMemory;
  /** Host offset, a multiple of 8. */
  readonly at: number;
  /** Descriptors that it has room for. */
  readonly size: number;
}

/**
 * Which chains of one ring are in flight, kept in memory that outlives the process. What an earlier life left there is
 * foreign input, looked at once, when the queue is opened; from then on the area is only written.
 */
export interface InflightRecord {
  /** Where the queue goes on: its chains in flight are not taken there. */
  readonly state: QueueState;
  /** The next head that has to be taken again by itself, or -1; a packed ring has its chains back in their slots. */
  nextAgain(): number;
  /** A chain was taken. */
  took(token: number): void;
  /** The chain taken last went back. */
  gaveBack(token: number): void;
  /** A used element was written, which nobody sees yet. */
  put(token: number): void;
  /** Chains that were put become visible now. */
  beforePublish(): void;
  /** They are visible. */
  published(): void;
  /** The ring stopped and whoever goes on with it is told where: nothing here counts any more, unless chains are left. */
  finish(): void;
  /** The ring may lie elsewhere in host memory now. */
  relocate(): void;
}
