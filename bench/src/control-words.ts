/**
 * Words that the two workers of a case share beside the guest's memory. Each has two cache lines of its own, so that
 * waiting for one never slows the other side's use of another.
 */
const STRIDE = 0x20;

export const WORD = {
  /** 1 once the side has opened its queue. The driver is first: it zeroes the ring. */
  DRIVER_UP: 0x00,
  DEVICE_UP: 0x20,
  /** Number of the round that the driver wants, from 1 on; LAST_ROUND ends the worker. */
  ROUND: 0x40,
  /** What the wanted round is: its frames, and whether each is summed. */
  FRAMES: 0x60,
  SUMMED: 0x80,
  /** Number of the round in which the device stands, and of the one that it has finished. */
  DEVICE_IN: 0xa0,
  DEVICE_DONE: 0xc0,
  /** Notifications so far: of available buffers, to the device, and of used buffers, to the driver. */
  AVAIL_NOTIFIED: 0xe0,
  USED_NOTIFIED: 0x100,
} as const;

export const LAST_ROUND = -1;
/** A side that waits as long for a notification with work lying ready was not told of it. */
const NOTIFY_MS = 1000;

export const newControl = (): Int32Array =>
  new Int32Array(new SharedArrayBuffer(Object.keys(WORD).length * STRIDE * 4));

/** Sleep until a word is what is waited for. */
export function waitFor(control: Int32Array, at: number, wanted: number): void {
  for (let value = Atomics.load(control, at); value !== wanted; value = Atomics.load(control, at))
    Atomics.wait(control, at, value);
}

/** Set a word and wake who sleeps on it. */
export function announce(control: Int32Array, at: number, value: number): void {
  Atomics.store(control, at, value);
  Atomics.notify(control, at);
}

export function notify(control: Int32Array, at: number): void {
  Atomics.add(control, at, 1);
  Atomics.notify(control, at);
}

/**
 * Sleep until notified.
 * @param seen  the word's value from before notifications were asked for
 * @param ready whether there is work
 * @returns false when there was work and no notification. Between the two the other side has as long again: it may have
 *          lost its core right there
 */
export function sleepUntilNotified(control: Int32Array, at: number, seen: number, ready: () => boolean): boolean {
  if (Atomics.wait(control, at, seen, NOTIFY_MS) !== 'timed-out' || !ready()) return true;
  return Atomics.wait(control, at, seen, NOTIFY_MS) !== 'timed-out';
}
