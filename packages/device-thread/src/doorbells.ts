import { type ControlLayout, doorbellAt, rungAt } from './control-layout.js';

/**
 * Ring the doorbell of a queue: however often until the device looks, it is one notification. Waking it is the caller's.
 * @param thread 0 for the device's thread, 1 and up for its queue threads
 */
export function ringDoorbell(words: Int32Array, layout: ControlLayout, queue: number, thread: number): void {
  Atomics.store(words, doorbellAt(layout, queue), 1);
  Atomics.store(words, rungAt(layout, thread), 1);
}

/**
 * Hand on the notifications that came since the last call, each queue's once.
 * @param queues that there are; a doorbell beyond is left alone
 * @returns whether there were any
 */
export function takeDoorbells(
  words: Int32Array,
  layout: ControlLayout,
  queues: number,
  notify: (queue: number) => void,
): boolean {
  if (Atomics.load(words, layout.rung) === 0) return false;
  // Cleared before the doorbells are looked at: one that is rung later sets it again.
  Atomics.store(words, layout.rung, 0);
  const end = Math.min(queues, layout.doorbellCount);
  for (let queue = 0; queue < end; queue++) {
    const at = doorbellAt(layout, queue);
    if (Atomics.load(words, at) === 0) continue;
    Atomics.store(words, at, 0);
    notify(queue);
  }
  return true;
}
