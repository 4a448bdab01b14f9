import type { VirtioDevice } from '@ringwire/virtio-device';
import { ASKED, type ControlLayout, LIFE, SHOWN } from './control-layout.js';
import { takeDoorbells } from './doorbells.js';
import { serveMailbox } from './mailbox.js';
import type { ParkingSpot } from './parking-spot.js';
import { milliseconds } from './platform.js';
import type { ServedDevice } from './served-device.js';

/** How a loop shares its time. */
export interface LoopOptions {
  /** Most chains per queue and turn. */
  readonly budget: number;
  /** Turns without work before the thread sleeps. */
  readonly spinTurns: number;
  /** Called between two steps when somebody asks for the device to be saved. */
  readonly inspect?: (device: VirtioDevice) => void;
  /** Called behind each register access, before it is answered. */
  readonly accessed?: (device: VirtioDevice, isWrite: boolean) => void;
}

/** What a device's thread does all its life: register accesses, notifications, steps, and sleep when there is nothing. */
export class DeviceLoop {
  private readonly words: Int32Array;
  private readonly layout: ControlLayout;
  private readonly served: ServedDevice;
  private readonly options: LoopOptions;
  private readonly spot: ParkingSpot;
  /** The device is left as it is, for another thread. */
  leaves = false;
  private sleeps = 0;
  private readonly serve: (kind: number, offset: number, size: number, value: number) => number;
  private readonly notify: (queue: number) => void;

  /** @param spot where the thread sleeps */
  constructor(words: Int32Array, layout: ControlLayout, spot: ParkingSpot, served: ServedDevice, options: LoopOptions) {
    this.words = words;
    this.layout = layout;
    this.served = served;
    this.options = options;
    this.spot = spot;
    const { accessed } = options;
    this.serve =
      accessed === undefined
        ? (kind, offset, size, value) => served.serve(kind, offset, size, value)
        : (kind, offset, size, value) => {
            const answer = served.serve(kind, offset, size, value);
            accessed(served.device, (kind & 1) !== 0);
            return answer;
          };
    this.notify = (queue) => served.device.notify(queue);
  }

  /**
   * Until the thread is to be closed. Whatever the device type throws ends it.
   * @param begun called once, behind the first turn
   */
  run(begun: () => void): void {
    let idle = 0;
    if (this.isWanted()) this.turn();
    begun();
    while (this.isWanted()) {
      if (this.turn()) idle = 0;
      else if (++idle > this.options.spinTurns) {
        this.park();
        idle = 0;
      }
    }
  }

  /** @returns whether there was anything to do */
  private turn(): boolean {
    const { words, layout, served } = this;
    const asked = serveMailbox(words, layout.mailbox, this.serve);
    const rung = takeDoorbells(words, layout, served.device.queues.length, this.notify);
    const done = served.device.step(this.options.budget);
    served.showStatus();
    const wanted = Atomics.load(words, layout.asked);
    if (wanted !== ASKED.NOTHING) {
      Atomics.store(words, layout.asked, ASKED.NOTHING);
      if (wanted === ASKED.LEAVE) this.leaves = true;
      else this.options.inspect?.(served.device);
    }
    return asked || rung || done > 0;
  }

  /** Sleep until there is something to do. The turn after arming is the second look that {@link ParkingSpot} asks for. */
  private park(): void {
    const { words, layout, spot } = this;
    spot.arm();
    const left = this.turn() || !this.isWanted() ? 0 : this.untilDeadline();
    if (left <= 0) {
      spot.disarm();
      return;
    }
    Atomics.store(words, layout.shown + SHOWN.SLEEPS, ++this.sleeps);
    spot.sleep(left);
  }

  /** ms until the device is to be stepped at the latest. */
  private untilDeadline(): number {
    const deadline = this.served.device.deadline();
    return deadline === Number.POSITIVE_INFINITY ? deadline : deadline / 1000 - milliseconds();
  }

  private isWanted(): boolean {
    return !this.leaves && Atomics.load(this.words, this.layout.state) === LIFE.RUNNING;
  }
}
