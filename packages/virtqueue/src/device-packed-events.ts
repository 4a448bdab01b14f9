import { PVIRTQ_EVENT_MASK, PVIRTQ_EVENT_SUPPRESS, RING_EVENT_FLAGS } from '@ringwire/virtio-spec';
import type { QueueLayout } from './queue-layout.js';

const { desc_event_off: OFFSET, desc_event_wrap: WRAP, desc_event_flags: FLAGS } = PVIRTQ_EVENT_MASK;

/** The device's use of the two event suppression structures of a packed ring, virtio 1.4 §2.8.10. */
export class DevicePackedEvents {
  readonly #size: number;
  readonly #eventIdx: boolean;
  readonly #u16: Uint16Array;
  // Element indexes into u16: the driver's structure is read, the device's is written.
  readonly #driverEvent16: number;
  readonly #driverFlags16: number;
  readonly #deviceEvent16: number;
  readonly #deviceFlags16: number;

  constructor(ring: QueueLayout) {
    this.#size = ring.size;
    this.#eventIdx = ring.eventIdx;
    this.#u16 = ring.memory.u16;
    this.#driverEvent16 = (ring.driver + PVIRTQ_EVENT_SUPPRESS.desc) >>> 1;
    this.#driverFlags16 = (ring.driver + PVIRTQ_EVENT_SUPPRESS.flags) >>> 1;
    this.#deviceEvent16 = (ring.device + PVIRTQ_EVENT_SUPPRESS.desc) >>> 1;
    this.#deviceFlags16 = (ring.device + PVIRTQ_EVENT_SUPPRESS.flags) >>> 1;
  }

  disable(): void {
    Atomics.store(this.#u16, this.#deviceFlags16, RING_EVENT_FLAGS.DISABLE);
  }

  /** Ask for a notification when the slot, with that wrap counter, becomes available. */
  enable(slot: number, wrap: number): void {
    if (this.#eventIdx) {
      Atomics.store(this.#u16, this.#deviceEvent16, slot | (wrap === 0 ? 0 : WRAP));
      Atomics.store(this.#u16, this.#deviceFlags16, RING_EVENT_FLAGS.DESC);
    } else Atomics.store(this.#u16, this.#deviceFlags16, RING_EVENT_FLAGS.ENABLE);
  }

  /** Whether the driver waits for one of the used slots from `from` up to, not including, `to`: at least one. */
  wantsUsed(from: number, fromWrap: number, to: number, toWrap: number): boolean {
    const flags = Atomics.load(this.#u16, this.#driverFlags16) & FLAGS;
    if (flags === RING_EVENT_FLAGS.DISABLE) return false;
    // The reserved value 3, and DESC without EVENT_IDX, count as ENABLE: rather one notification too many.
    if (flags !== RING_EVENT_FLAGS.DESC || !this.#eventIdx) return true;
    const event = Atomics.load(this.#u16, this.#driverEvent16);
    const slot = event & OFFSET;
    if (slot >= this.#size) return true;
    const start = this.#place(from, fromWrap);
    const twoLaps = 2 * this.#size;
    const used = (this.#place(to, toWrap) - start + twoLaps) % twoLaps;
    const wanted = (this.#place(slot, event >>> 15) - start + twoLaps) % twoLaps;
    return wanted < used;
  }

  /** A slot and its wrap counter as one place on a track of two laps. */
  #place(slot: number, wrap: number): number {
    return wrap === 0 ? slot + this.#size : slot;
  }
}
