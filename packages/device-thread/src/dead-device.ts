import { MsixTable } from '@ringwire/pci';
import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import {
  COMMON_CFG,
  ISR_STATUS,
  MMIO_INTERRUPT,
  MMIO_REGISTERS,
  VIRTIO_MSI_NO_VECTOR,
} from '@ringwire/virtio-spec/transport';
import { type ControlLayout, LIFE, SHADOW_WORDS, SHOWN } from './control-layout.js';
import { InterruptRaiser } from './interrupt-words.js';
import { ACCESS_KIND, abandonMailbox } from './mailbox.js';
import { ParkingSpot } from './parking-spot.js';

/** What whoever cleans up after a thread has to know of it. */
export interface ThreadPlace {
  readonly words: Int32Array;
  readonly layout: ControlLayout;
  readonly transport: 'mmio' | 'pci';
  /** Nobody waits any more for its burst. */
  readonly leaveBus: () => void;
  /** Takes the device's end out of cables to other threads. */
  readonly unplug: () => void;
}

const ALL_ONES = 0xffff_ffff;
const NEEDS_RESET = DEVICE_STATUS.DEVICE_NEEDS_RESET;
const CONFIG_CHANGE = MMIO_INTERRUPT.CONFIGURATION_CHANGE;

/**
 * The device's thread ended of itself: nobody waits for it any more, its device needs a reset, and a driver that runs it
 * is told. Called by whoever finds out first, the dying thread itself where it can; only the first call does anything.
 * @see virtio 1.4 §2.1.2
 */
export function declareDead(place: ThreadPlace): boolean {
  const { words, layout, transport } = place;
  const { state, shown } = layout;
  const isFirst =
    Atomics.compareExchange(words, state, LIFE.RUNNING, LIFE.DEAD) === LIFE.RUNNING ||
    Atomics.compareExchange(words, state, LIFE.STARTING, LIFE.DEAD) === LIFE.STARTING;
  if (!isFirst) return false;
  const status = Atomics.or(words, shown + SHOWN.STATUS, NEEDS_RESET);
  place.leaveBus();
  place.unplug();
  const raiser = new InterruptRaiser(words, layout);
  raiser.mend();
  if ((status & DEVICE_STATUS.DRIVER_OK) !== 0) raiseConfigChange(words, layout, transport, raiser);
  abandonMailbox(words, layout.mailbox);
  Atomics.notify(words, state);
  new ParkingSpot(words, layout.ownerSpot).wake();
  return true;
}

/** Its owner closed the device, and no thread of it runs any more. */
export function declareClosed({ words, layout, unplug }: ThreadPlace): void {
  Atomics.store(words, layout.state, LIFE.CLOSED);
  Atomics.notify(words, layout.state);
  abandonMailbox(words, layout.mailbox);
  unplug();
  new ParkingSpot(words, layout.ownerSpot).wake();
}

function raiseConfigChange(
  words: Int32Array,
  layout: ControlLayout,
  transport: ThreadPlace['transport'],
  raiser: InterruptRaiser,
): void {
  const { shown } = layout;
  if (transport === 'pci' && Atomics.load(words, shown + SHOWN.MSIX_ON) !== 0) {
    const vector = Atomics.load(words, shown + SHOWN.CONFIG_VECTOR);
    if (vector === VIRTIO_MSI_NO_VECTOR) return;
    const send = (low: number, high: number, data: number): void => raiser.message(low, high, data, vector);
    new MsixTable(vector + 1, send, words.subarray(layout.msix)).raise(vector);
    return;
  }
  Atomics.or(words, shown + SHOWN.ISR, CONFIG_CHANGE);
  if (transport === 'mmio' || Atomics.load(words, shown + SHOWN.PIN_OFF) === 0) raiser.level(true);
}

/**
 * A device whose thread is dead, to its driver: the status says that it needs a reset, interrupts can be acknowledged,
 * configuration space is as it was, and all else reads as all ones and takes no write.
 */
export class DeadDevice {
  private readonly words: Int32Array;
  private readonly layout: ControlLayout;
  private readonly raiser: InterruptRaiser;
  private readonly shadow: Uint8Array;

  constructor(words: Int32Array, layout: ControlLayout) {
    this.words = words;
    this.layout = layout;
    this.raiser = new InterruptRaiser(words, layout);
    this.shadow = new Uint8Array(words.buffer, words.byteOffset + layout.shadow * 4, SHADOW_WORDS * 4);
  }

  read(kind: number, offset: number, size: number): number {
    if (kind === ACCESS_KIND.CONFIG_READ) return this.config(offset, size);
    if (kind === ACCESS_KIND.MMIO_READ) {
      if (offset === MMIO_REGISTERS.Status.at) return this.shown(SHOWN.STATUS);
      if (offset === MMIO_REGISTERS.InterruptStatus.at) return this.shown(SHOWN.ISR);
    } else if (kind === ACCESS_KIND.BAR_READ) {
      if (offset === this.statusAt()) return this.shown(SHOWN.STATUS);
      if (offset === this.shown(SHOWN.ISR_AT)) return this.takeIsr();
    }
    return allOnes(size);
  }

  /** @returns whether it asks for a reset, which takes a new thread */
  write(kind: number, offset: number, value: number): boolean {
    if (kind === ACCESS_KIND.MMIO_WRITE) {
      if (offset === MMIO_REGISTERS.InterruptACK.at) {
        Atomics.and(this.words, this.layout.shown + SHOWN.ISR, ~value);
        if (this.shown(SHOWN.ISR) === 0) this.raiser.level(false);
      }
      return offset === MMIO_REGISTERS.Status.at && value === 0;
    }
    return kind === ACCESS_KIND.BAR_READ + 1 && offset === this.statusAt() && (value & 0xff) === 0;
  }

  private takeIsr(): number {
    const isr = Atomics.exchange(this.words, this.layout.shown + SHOWN.ISR, 0);
    this.raiser.level(false);
    return isr & (ISR_STATUS.QUEUE_INTERRUPT | ISR_STATUS.DEVICE_CONFIGURATION_INTERRUPT);
  }

  private config(offset: number, size: number): number {
    if (!(offset >= 0 && offset + size <= this.shadow.length)) return allOnes(size);
    let value = 0;
    for (let byte = size - 1; byte >= 0; byte--) value = value * 256 + this.shadow[offset + byte]!;
    return value;
  }

  private shown(word: number): number {
    return Atomics.load(this.words, this.layout.shown + word);
  }

  private statusAt(): number {
    return this.shown(SHOWN.COMMON_AT) + COMMON_CFG.device_status.at;
  }
}

/** Of an access of 1 to 4 bytes. */
export const allOnes = (size: number): number => (size >= 1 && size < 4 ? 2 ** (size * 8) - 1 : ALL_ONES);
