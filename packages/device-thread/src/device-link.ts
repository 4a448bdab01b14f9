import { notifiedVqIndex, VirtioError } from '@ringwire/virtio-spec';
import { MMIO_REGISTERS } from '@ringwire/virtio-spec/transport';
import {
  BELL_MODE,
  type ControlLayout,
  type ControlSize,
  checkControl,
  controlLayout,
  LIFE,
  type Life,
  SHOWN,
} from './control-layout.js';
import { allOnes, DeadDevice } from './dead-device.js';
import { ringDoorbell } from './doorbells.js';
import { type InterruptHandlers, InterruptTaker } from './interrupt-words.js';
import { ACCESS_KIND, MailboxCaller } from './mailbox.js';
import { ParkingSpot } from './parking-spot.js';
import { milliseconds, sleepWhile, waitAsync } from './platform.js';
import { PostedWrites } from './posted-writes.js';
import { laneOfPair } from './queue-lanes.js';
import { deviceSpotOf, type SleepingPlace } from './sleeping-places.js';

/** What another thread needs to reach a device: to be posted as it is. */
export interface LinkPlace extends ControlSize {
  readonly transport: 'mmio' | 'pci';
  readonly words: Int32Array;
  /** Where the device's thread sleeps, unless in the control block. */
  readonly spot?: SleepingPlace;
  /** Writes to BARs of one driver's thread go here, and are not waited for; unless given, each is over when the call returns. */
  readonly posted?: Int32Array;
  /** Where its queue threads sleep, where there are any. */
  readonly laneSpots?: readonly SleepingPlace[];
}

/** How a {@link DeviceLink} waits, and whom it tells. */
export interface LinkOptions {
  readonly interrupts?: InterruptHandlers;
  /** ms that a register access waits for the device's thread; 5000 unless given. */
  readonly patienceMs?: number;
  /** Called when a driver resets a device whose thread is dead; unless given, the thread that made the device is asked. */
  readonly restart?: () => void;
}

const OFFSET_END = 0x1_0000_0000;
const SIZES = [1, 2, 4];

/**
 * A driver's way to a device that runs in a thread of its own: its registers, its doorbells, its interrupts. Any number of
 * threads may have one for the same device; interrupts are for one of them.
 *
 * Register accesses wait for the device's thread, as reads of a real device wait for it. One that does not answer in time
 * reads as all ones. Notifications are words in shared memory, and wait for nobody.
 */
export class DeviceLink {
  readonly place: LinkPlace;
  private readonly words: Int32Array;
  private readonly layout: ControlLayout;
  private readonly patienceMs: number;
  private readonly mailbox: MailboxCaller;
  private readonly dead: DeadDevice;
  private readonly deviceSpot: ParkingSpot;
  private readonly laneSpots: readonly ParkingSpot[];
  private readonly driverSpot: ParkingSpot;
  private readonly taker: InterruptTaker;
  private readonly posted: PostedWrites | undefined;
  private readonly wakeDevice: () => void;
  private readonly restart: () => void;
  private listening = false;
  private isLooping = false;

  /** @throws VirtioError for a place that is none */
  constructor(place: LinkPlace, options: LinkOptions = {}) {
    const { words } = place;
    const layout = controlLayout(place);
    checkControl(words, layout);
    this.place = place;
    this.words = words;
    this.layout = layout;
    this.patienceMs = options.patienceMs ?? 5000;
    this.mailbox = new MailboxCaller(words, layout.mailbox);
    this.dead = new DeadDevice(words, layout);
    this.deviceSpot = deviceSpotOf(words, layout, place.spot);
    this.laneSpots = (place.laneSpots ?? []).map((spot) => new ParkingSpot(spot.words, spot.at));
    this.driverSpot = new ParkingSpot(words, layout.driverSpot);
    this.taker = new InterruptTaker(words, layout, options.interrupts ?? {});
    this.posted = place.posted === undefined ? undefined : new PostedWrites(place.posted);
    this.wakeDevice = () => this.deviceSpot.wake();
    const owner = new ParkingSpot(words, layout.ownerSpot);
    this.restart = options.restart ?? (() => owner.wake());
  }

  /** What is done about interrupts. */
  get interrupts(): InterruptHandlers {
    return this.taker.handlers;
  }

  set interrupts(handlers: InterruptHandlers) {
    this.taker.handlers = handlers;
  }

  /** How the device's thread is: a `LIFE` value. */
  get life(): Life {
    return Atomics.load(this.words, this.layout.state) as Life;
  }

  /** Register accesses that were not answered in time. */
  get timeouts(): number {
    return this.mailbox.timeouts;
  }

  /** Whether the device's thread sleeps, or is about to: it uses no time then. */
  get isDeviceAsleep(): boolean {
    return this.deviceSpot.isArmed;
  }

  /** Times that the device's thread went to sleep. */
  get deviceSleeps(): number {
    return Atomics.load(this.words, this.layout.shown + SHOWN.SLEEPS);
  }

  /** An MMIO register. @param size 1, 2 or 4 bytes @see VirtioMmio.read */
  read(offset: number, size: number): number {
    this.check('mmio');
    return this.ask(ACCESS_KIND.MMIO_READ, offset, size, 0);
  }

  write(offset: number, size: number, value: number): void {
    this.check('mmio');
    if (offset === MMIO_REGISTERS.QueueNotify.at && size === 4 && this.ringMmio(value >>> 0)) return;
    this.ask(ACCESS_KIND.MMIO_WRITE, offset, size, value);
  }

  /** PCI configuration space. @param size 1 to 4 bytes @see PciFunction.configRead */
  configRead(offset: number, size: number): number {
    this.check('pci');
    return this.ask(ACCESS_KIND.CONFIG_READ, offset, size, 0);
  }

  configWrite(offset: number, size: number, value: number): void {
    this.check('pci');
    this.ask(ACCESS_KIND.CONFIG_WRITE, offset, size, value);
  }

  /** A BAR, 0 to 5. @param size 1 to 4 bytes @see PciFunction.barRead */
  barRead(bar: number, offset: number, size: number): number {
    this.check('pci');
    return this.ask(ACCESS_KIND.BAR_READ + bar * 2, offset, size, 0);
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    this.check('pci');
    if (bar === 0 && this.ringPci(offset, size)) return;
    if (this.posted?.put(bar, offset, size, value) === true) {
      this.deviceSpot.wake();
      return;
    }
    this.ask(ACCESS_KIND.BAR_READ + bar * 2 + 1, offset, size, value);
  }

  /** Call the handlers for interrupts that came since the last call. @returns handlers called */
  takeInterrupts(): number {
    return this.taker.take();
  }

  /**
   * Sleep until there are interrupts, and call the handlers. Not on a thread with something else to do.
   * @param limitMs longest wait
   * @returns handlers called; 0 when the time was up
   */
  waitForInterrupt(limitMs: number): number {
    const { driverSpot, taker } = this;
    const end = milliseconds() + limitMs;
    for (;;) {
      driverSpot.arm();
      // Armed before the look: what is raised after it wakes us.
      const left = taker.isRaised ? 0 : end - milliseconds();
      if (left > 0) driverSpot.sleep(left);
      else driverSpot.disarm();
      const taken = taker.take();
      // What was raised may have been taken back already: a level that rose and fell.
      if (taken > 0 || milliseconds() >= end) return taken;
    }
  }

  /**
   * Have the handlers called from this thread's event loop from now on, until {@link stopListening}.
   * @returns false where the platform has no `Atomics.waitAsync`: interrupts are to be taken then
   */
  listen(): boolean {
    if (waitAsync === undefined) return false;
    this.listening = true;
    if (!this.isLooping) void this.listenOn();
    return true;
  }

  stopListening(): void {
    this.listening = false;
    this.driverSpot.wake();
  }

  private async listenOn(): Promise<void> {
    this.isLooping = true;
    while (this.listening) {
      this.driverSpot.arm();
      const woken = this.taker.isRaised ? undefined : this.driverSpot.sleepAsync();
      if (woken !== undefined) await woken;
      if (this.listening) this.taker.take();
      // Others have their turn, also when interrupts come without end.
      await Promise.resolve();
    }
    this.isLooping = false;
    this.driverSpot.disarm();
  }

  /** @returns false when the device itself has to look at the value */
  private ringMmio(value: number): boolean {
    const mode = this.shown(SHOWN.BELL);
    if (mode !== BELL_MODE.INDEX && mode !== BELL_MODE.DATA) return false;
    return this.ring(mode === BELL_MODE.DATA ? notifiedVqIndex(value) : value);
  }

  private ringPci(offset: number, size: number): boolean {
    if (this.shown(SHOWN.BELL) !== BELL_MODE.ADDRESS || !SIZES.includes(size) || offset % size !== 0) return false;
    return this.ring((offset - this.shown(SHOWN.BELL_AT)) / this.shown(SHOWN.BELL_STRIDE));
  }

  private ring(queue: number): boolean {
    const { words, layout } = this;
    const isThere = Number.isInteger(queue) && queue >= 0 && queue < layout.doorbellCount;
    if (!isThere || queue >= this.shown(SHOWN.QUEUES) || this.life !== LIFE.RUNNING) return false;
    const { laneSpots } = this;
    if (queue < this.shown(SHOWN.PAIR_QUEUES)) {
      const lane = laneOfPair(queue >>> 1, laneSpots.length);
      ringDoorbell(words, layout, queue, lane + 1);
      laneSpots[lane]!.wake();
    } else {
      ringDoorbell(words, layout, queue, 0);
      this.deviceSpot.wake();
    }
    return true;
  }

  private ask(kind: number, offset: number, size: number, value: number): number {
    const isWrite = (kind & 1) !== 0;
    if (!(offset >= 0 && offset < OFFSET_END) || !Number.isInteger(offset)) return isWrite ? 0 : allOnes(size);
    const { life } = this;
    if (life === LIFE.STARTING || life === LIFE.RUNNING) {
      const answer = this.mailbox.ask(kind, offset, size, value | 0, this.wakeDevice, this.patienceMs);
      // A thread that died meanwhile answered nothing: what the dead device says is below.
      // The reset of a device whose queue threads died takes new ones.
      if (isWrite && this.shown(SHOWN.LANES_WANTED) !== 0) this.restart();
      if (answer !== undefined && this.life === LIFE.RUNNING) return answer;
      if (answer === undefined) return allOnes(size);
    }
    if (this.life !== LIFE.DEAD && this.life !== LIFE.WANTED) return isWrite ? 0 : allOnes(size);
    if (!isWrite) return this.dead.read(kind, offset, size);
    if (this.dead.write(kind, offset, value >>> 0)) this.askForRestart();
    return 0;
  }

  /** A driver resets a dead device: that takes a new thread, which begins as after a reset. */
  private askForRestart(): void {
    const { words, layout } = this;
    Atomics.compareExchange(words, layout.state, LIFE.DEAD, LIFE.WANTED);
    this.restart();
    // Whoever declared it dead may not have notified yet of that: being woken says nothing.
    const end = milliseconds() + this.patienceMs;
    for (let { life } = this; life === LIFE.WANTED || life === LIFE.STARTING; { life } = this) {
      const left = end - milliseconds();
      if (left <= 0) return;
      sleepWhile(words, layout.state, life, left);
    }
  }

  private shown(word: number): number {
    return Atomics.load(this.words, this.layout.shown + word);
  }

  private check(transport: LinkPlace['transport']): void {
    if (this.place.transport !== transport)
      throw new VirtioError('transport', this.place.transport, `${transport} for this access`, 'DeviceLink');
  }
}
