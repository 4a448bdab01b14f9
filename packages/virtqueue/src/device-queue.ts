import type { ChainBurst } from './chain-burst.js';
import type { QueueCounters } from './queue-fault.js';
import type { QueueState } from './queue-state.js';

/** Outcome of {@link DeviceQueue.takeAvailable}. */
export const TAKE = {
  /** Nothing is available. */
  EMPTY: 0,
  /** One chain was appended. */
  CHAIN: 1,
  /** One chain was appended that is to be given up: put it with length 0. */
  CHAIN_FAULT: 2,
  /** The ring cannot be trusted; the device needs a reset. */
  RING_FAULT: 3,
} as const;
/** One of {@link TAKE}. */
export type Take = (typeof TAKE)[keyof typeof TAKE];

/**
 * The device's side of one virtqueue, split or packed. Nothing that a driver writes makes a method throw, allocate per
 * buffer or work without bound: one call handles at most the burst's capacity. A `VirtioError` means that the device
 * itself used the queue wrongly.
 */
export interface DeviceQueue {
  readonly layout: 'split' | 'packed';
  /** Queue Size: descriptors. */
  readonly size: number;
  /** Chains taken and not yet put or given back. */
  readonly inFlight: number;
  /** 0, or the `RING_FAULT` that stopped the queue. */
  readonly ringFault: number;
  readonly counters: QueueCounters;

  /**
   * Append available chains to a burst, at most `max` and at most what the burst has room for, in the driver's order.
   * Every descriptor is copied out of guest memory once, checked, and resolved to host ranges.
   * @returns chains appended; fewer than available only for want of room or because of a ring fault: see {@link ringFault}
   * @see virtio 1.4 §2.7.13 (split), §2.8.21 (packed)
   */
  takeBurst(burst: ChainBurst, max: number): number;

  /** Append one available chain to a burst that has room. */
  takeAvailable(burst: ChainBurst): Take;

  /**
   * Write one used element; the driver sees it after {@link publishUsed}.
   * With IN_ORDER, chains are put in the order they were taken, and runs of fully used ones become one element.
   * @param token   from {@link ChainBurst.token}
   * @param written bytes written, from the first device-writable byte on; 0 for transmit and for faulty chains
   * @throws VirtioError for a token that is not in flight, or `written` beyond the chain's writable bytes
   * @see virtio 1.4 §2.7.8.2, §2.7.9, §2.8.9
   */
  putUsed(token: number, written: number): void;

  /**
   * Put chains `from` … `from + count - 1` of a burst, each with its {@link ChainBurst.written} bytes.
   * @throws VirtioError as {@link putUsed} does; the chains before the wrong one are put then
   */
  putUsedBurst(burst: ChainBurst, from: number, count: number): void;

  /**
   * Make the put elements visible, in one step.
   * @returns true when the driver is to be notified
   * @see virtio 1.4 §2.7.7.2, §2.8.10
   */
  publishUsed(): boolean;

  /**
   * Give the chain taken last back to the ring, as if it had not been taken.
   * @throws VirtioError unless `token` is the last one taken and still in flight
   */
  untake(token: number): void;

  /** Whether a chain is waiting. */
  hasAvailable(): boolean;

  /** Ask the driver not to notify of available buffers: a hint that it may ignore. */
  disableNotifications(): void;

  /**
   * Ask the driver to notify of the next available buffer.
   * @returns true when one is waiting already: take it, the driver may not notify of it
   */
  enableNotifications(): boolean;

  /**
   * Find the ring's memory again, after mappings of its address space changed.
   * @returns false when it is out of reach now: a ring fault
   */
  refresh(): boolean;

  /**
   * Positions for saving, migration or hand-over.
   * @throws VirtioError while chains are in flight or used elements unpublished: put, publish or untake them first
   */
  save(): QueueState;

  /** End the queue (reset, disable): it touches guest memory no more. Chains in flight may be put; nothing is written. */
  stop(): void;
}
