import type { BufferList } from './buffer-list.js';
import type { UsedBurst } from './used-burst.js';

/** {@link DriverQueue.add}: the ring (or the indirect tables) has no room now. */
export const NO_ROOM = -1;

/** Why a driver stopped believing its device. Nothing that the device writes afterwards is looked at. */
export const BROKEN = {
  NONE: 0,
  /** A used id that is not a descriptor or buffer id of this queue. */
  USED_ID_OUT_OF_RANGE: 1,
  /** A used id whose buffer is not outstanding. */
  USED_ID_NOT_OUTSTANDING: 2,
  /** Split: the used index ran ahead of what is outstanding, or backwards. */
  USED_INDEX: 3,
} as const;

/** What a driver's queue counted since it was opened. */
export interface DriverCounters {
  added: number;
  used: number;
  /** Available buffer notifications that the device was owed. */
  notifications: number;
  /** Buffers given up because the device claimed too many bytes. */
  tooLong: number;
  /** 0 or 1 per `BROKEN` code. */
  readonly broken: Float64Array;
}

/**
 * The driver's side of one virtqueue, split or packed. It keeps all it has to know in private memory and believes
 * nothing that a device writes: ids, lengths and indexes are checked, descriptors are never read back.
 * A `VirtioError` means that the driver itself used the queue wrongly.
 */
export interface DriverQueue {
  readonly layout: 'split' | 'packed';
  readonly size: number;
  /** Buffers made available, or about to be, and not used yet. */
  readonly outstanding: number;
  /** Descriptors that a buffer can still take: ring slots, without indirect tables. */
  readonly free: number;
  /** 0, or the `BROKEN` code for which the device is not believed any more. */
  readonly broken: number;
  readonly counters: DriverCounters;

  /**
   * Put a device-readable buffer of one element into the ring; the device sees it after {@link publish}.
   * @param address below 2^53, @param length 1 to 2^32-1 bytes; both as the caller vouches for
   * @returns an id below Queue Size that is the buffer's until it comes back used, or NO_ROOM
   */
  addReadable(address: number, length: number): number;

  /** The same for a device-writable buffer. */
  addWritable(address: number, length: number): number;

  /**
   * The same for a buffer of several elements. With INDIRECT_DESC and tables given, elements from `direct` on go into
   * one indirect table; otherwise all are chained.
   * @param direct elements to chain before the table; a packed ring allows 0 or all of them (virtio 1.4 §2.8.19)
   * @param token what the buffer comes back as, 32 bits; its id unless given
   * @throws VirtioError for an empty list, or one longer than Queue Size or than 2^32 bytes in all
   */
  add(buffer: BufferList, direct?: number, token?: number): number;

  /**
   * Put buffers of one element each into the ring: every element of the list is a buffer of its own here, known by the
   * list's token for it rather than by an id.
   * @returns buffers added, fewer than the list has when the ring is full
   */
  addBurst(buffers: BufferList): number;

  /**
   * Make what was added visible, in one step.
   * @returns true when the device is to be notified
   * @see virtio 1.4 §2.7.13.3, §2.7.13.4, §2.8.21
   */
  publish(): boolean;

  /**
   * The 32-bit word of an available buffer notification with NOTIFICATION_DATA.
   * @param vqIndex the virtqueue's index, or queue_notif_config_data with NOTIF_CONFIG_DATA
   * @see virtio 1.4 §2.9
   */
  notificationData(vqIndex: number): number;

  /**
   * Append used buffers, at most `max` and what the burst has room for. With IN_ORDER one used element may stand for
   * many buffers; the skipped ones count as used completely.
   * @returns buffers appended
   */
  takeUsed(burst: UsedBurst, max: number): number;

  /** Whether a used buffer is waiting. */
  hasUsed(): boolean;

  /** Ask the device not to notify of used buffers: a hint that it may ignore. */
  disableNotifications(): void;

  /**
   * Ask the device to notify of used buffers.
   * @param after with EVENT_IDX, how many more buffers may be used before it does; 0 for the next one. At most the
   *              outstanding ones count, so that the notification comes
   * @returns true when enough are used already, in a packed ring when any is: take them, the device may not notify of
   *          them
   */
  enableNotifications(after?: number): boolean;

  /**
   * After the queue or device was reset: append buffers that will not be used any more, each once. From the first call on
   * nothing comes back used; open the queue again to go on.
   * @returns buffers appended; call again until it returns 0
   */
  detachUnused(burst: UsedBurst): number;
}

export function newDriverCounters(): DriverCounters {
  return {
    added: 0,
    used: 0,
    notifications: 0,
    tooLong: 0,
    broken: new Float64Array(Object.keys(BROKEN).length),
  };
}
