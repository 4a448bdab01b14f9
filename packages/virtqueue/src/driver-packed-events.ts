import { PVIRTQ_EVENT_MASK, PVIRTQ_EVENT_SUPPRESS, RING_EVENT_FLAGS } from '@ringwire/virtio-spec';
import type { QueueLayout } from './queue-layout.js';

const { desc_event_off: OFFSET, desc_event_wrap: WRAP, desc_event_flags: FLAGS } = PVIRTQ_EVENT_MASK;

/** The driver's use of the two event suppression structures of a packed ring, virtio 1.4 §2.8.10. */
export class DriverPackedEvents {
  readonly #size: number;
  readonly #eventIdx: boolean;
  readonly #u16: Uint16Array;
  // Element indexes into u16: the driver's structure is written, the device's is read.
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
    Atomics.store(this.#u16, this.#driverFlags16, RING_EVENT_FLAGS.DISABLE);
  }

  enable(): void {
    Atomics.store(this.#u16, this.#driverFlags16, RING_EVENT_FLAGS.ENABLE);
  }

  /** With EVENT_IDX: ask for a notification when the slot, with that wrap counter, is used. */
  enableAt(slot: number, wrap: number): void {
    Atomics.store(this.#u16, this.#driverEvent16, slot | (wrap === 0 ? 0 : WRAP));
    Atomics.store(this.#u16, this.#driverFlags16, RING_EVENT_FLAGS.DESC);
  }

  /** Whether the device waits for one of the slots made available from `from` up to, not including, `to`: at least one. */
  wantsAvailable(from: number, fromWrap: number, to: number): boolean {
    const flags = Atomics.load(this.#u16, this.#deviceFlags16) & FLAGS;
    if (flags === RING_EVENT_FLAGS.DISABLE) return false;
    // The reserved value 3, and DESC without EVENT_IDX, count as ENABLE: rather one notification too many.
    if (flags !== RING_EVENT_FLAGS.DESC || !this.#eventIdx) return true;
    const event = Atomics.load(this.#u16, this.#deviceEvent16);
    const slot = event & OFFSET;
    if (slot >= this.#size) return true;
    // Slots past the end of the ring belong to the next lap.
    const wrapped = to <= from;
    if (event >>> 15 === fromWrap) return slot >= from && (wrapped || slot < to);
    return wrapped && slot < to;
  }
}
