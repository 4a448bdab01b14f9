import type { DriverWatch } from './driver-watch.js';

/** A queue's registers, as the driver wrote them. */
interface Written {
  size: number | undefined;
  enabled: boolean;
  readonly desc: [low: number, high: number];
  readonly driver: [low: number, high: number];
  readonly device: [low: number, high: number];
}

const HALF = 4;
const HIGH = 2 ** 32;

/** Registers of queues that are written piece by piece, for the queue that is selected. */
export class QueueShadow {
  selected = 0;
  private readonly watch: DriverWatch;
  private readonly written: Map<number, Written> = new Map();
  /** Queues that were reset: whether that was seen to end. */
  private readonly resets: Map<number, boolean> = new Map();

  constructor(watch: DriverWatch) {
    this.watch = watch;
  }

  get isEnabled(): boolean {
    return this.here.enabled;
  }

  setSize(size: number): void {
    this.here.size = size;
  }

  /** @param at 0 for the low half, 4 for the high one */
  setHalf(area: 'desc' | 'driver' | 'device', at: number, value: number): void {
    this.here[area][at / HALF] = value >>> 0;
  }

  /** The queue is enabled. @param sizeMax asks the device for its size, for a driver that left it as it was */
  enable(sizeMax: () => number): void {
    const { here } = this;
    here.enabled = true;
    const isDone = this.resets.get(this.selected);
    if (isDone !== undefined) this.watch.queueReenabled(this.selected, isDone);
    this.resets.delete(this.selected);
    const addressOf = ([low, high]: readonly [number, number]): number => high * HIGH + low;
    this.watch.queueEnabled(this.selected, {
      size: here.size ?? sizeMax(),
      desc: addressOf(here.desc),
      driver: addressOf(here.driver),
      device: addressOf(here.device),
    });
  }

  /** The queue is not used any more. */
  disable(): void {
    this.written.delete(this.selected);
    this.watch.queueStopped(this.selected);
  }

  /** A reset of the queue is asked for. */
  reset(): void {
    this.disable();
    this.resets.set(this.selected, false);
  }

  /** The register of the queue's reset was read. */
  resetRead(value: number): void {
    if (value === 0 && this.resets.has(this.selected)) this.resets.set(this.selected, true);
  }

  /** The device is reset. */
  clear(): void {
    this.written.clear();
    this.resets.clear();
  }

  private get here(): Written {
    let found = this.written.get(this.selected);
    if (found === undefined) {
      found = { size: undefined, enabled: false, desc: [0, 0], driver: [0, 0], device: [0, 0] };
      this.written.set(this.selected, found);
    }
    return found;
  }
}
