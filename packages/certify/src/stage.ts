import { isBreakdown, openMmioTransport, openPciTransport, type Transport } from '@ringwire/guest-drivers';
import { ACCESS } from '@ringwire/guest-memory';
import type { PendingElement } from '@ringwire/ring-oracle';
import type { SpaceReader } from '@ringwire/virtio-device';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG, VIRTIO_NET_HDR_SIZE } from '@ringwire/virtio-spec/net';
import type { DriverModule, GuestDriver, GuestMachine } from './driver-module.js';
import { driverProblem, isDriverRefusal } from './load-driver.js';
import type { LabPort } from './rigs/lab-port.js';
import type { Rig } from './rigs/rig.js';
import type { StatementId } from './statements.js';
import type { Verdict } from './verdict.js';
import { DmaWatch } from './watch/dma-watch.js';
import { DriverHangs, DriverWatch } from './watch/driver-watch.js';
import { MmioWatch } from './watch/mmio-watch.js';
import { NetWatch } from './watch/net-watch.js';
import { PackedWatch } from './watch/packed-watch.js';
import { PciWatch } from './watch/pci-watch.js';
import type { Used } from './watch/ring-watch.js';
import { SplitWatch } from './watch/split-watch.js';
import { TransportWatch } from './watch/transport-watch.js';
import { Twist } from './watch/twist.js';

/** Calls of `pause` in one call of the driver that no driver needs. */
const PAUSES_MAX = 20_000;
/** Turns until driver and device have come to rest; of a device that runs by itself, turns without anything. */
const TURNS_MAX = 2000;
const IDLE_TURNS = 3;
const IDLE_TURNS_ALONE = 8;
/** The same where something has to come: a busy machine may let it wait. */
const PATIENT_TURNS = 1500;
const WATCH_MS = 100;
const MAC_BYTES = 6;
/** mtu of a driver that is told of none. */
const PLAIN_MTU = 1500;

/** The driver cannot be asked for anything any more: the scenario ends, and the verdict says why. */
export class DriverFailed extends Error {
  override readonly name = 'DriverFailed';
}

/** Does something to what the device used, before the driver sees it. */
export type Meddle = (queue: number, used: readonly Used[]) => void;

/** A driver in front of a device, both watched: one machine, for one scenario. */
export class Stage {
  readonly verdict: Verdict;
  readonly twist: Twist = new Twist();
  readonly watch: DriverWatch;
  readonly port: LabPort;
  /** Frames that the driver handed up, since somebody took them. */
  readonly received: Uint8Array[] = [];
  readonly machine: GuestMachine;
  /** What the driver issued on its control queue: class and command. */
  readonly commands: (readonly [klass: number, command: number])[] = [];
  meddle: Meddle | undefined = undefined;
  /** Most queue pairs that the device has. */
  readonly pairs: number;
  private readonly rig: Rig;
  private readonly module: DriverModule;
  private readonly dma: DmaWatch;
  private readonly pci: PciWatch | undefined;
  private readonly mmio: MmioWatch | undefined;
  private readonly plain: TransportWatch | undefined;
  private opened: GuestDriver | undefined = undefined;
  private time = 1000;
  private pauses = 0;
  private isSteppedByDriver = false;

  constructor(module: DriverModule, rig: Rig, verdict: Verdict, pairs: number) {
    this.module = module;
    this.rig = rig;
    this.verdict = verdict;
    this.port = rig.port;
    this.pairs = pairs;
    const { access } = rig;
    this.watch = new DriverWatch(verdict, this.twist, access.kind, (index, setup, features) => {
      const net = new NetWatch(verdict, features, {
        pairs,
        mtu: this.shownMtu,
        onCommand: (klass, command) => this.commands.push([klass, command]),
      });
      const place = {
        index,
        setup,
        features: features.slice(),
        space: rig.dma.space,
        verdict,
        inTurns: rig.inTurns,
        judge: (queue: number, element: PendingElement, read: SpaceReader) => {
          this.watch.exposed(queue);
          net.judge(queue, element, read);
        },
      };
      return hasFeature(features, VIRTIO_F.RING_PACKED) ? new PackedWatch(place) : new SplitWatch(place);
    });
    this.dma = new DmaWatch(rig.dma, this.watch);
    this.pci = access.kind === 'pci' ? new PciWatch(access.pci, this.watch) : undefined;
    this.mmio = access.kind === 'mmio' ? new MmioWatch(access.mmio, this.watch) : undefined;
    this.plain = access.kind === 'vdpa' ? new TransportWatch(access.transport, this.watch) : undefined;
    this.machine = this.makeMachine();
    this.showMtu(PLAIN_MTU);
  }

  /** mtu as the driver reads it. */
  get shownMtu(): number {
    const { at } = VIRTIO_NET_CONFIG.mtu;
    return (this.twist.config.get(at) ?? 0) | ((this.twist.config.get(at + 1) ?? 0) << 8);
  }

  showMtu(mtu: number): void {
    const { at } = VIRTIO_NET_CONFIG.mtu;
    this.twist.config.set(at, mtu & 0xff);
    this.twist.config.set(at + 1, mtu >>> 8);
  }

  withhold(...bits: readonly number[]): void {
    for (const bit of bits) this.twist.withheld[bit >>> 5]! |= 1 << (bit & 31);
  }

  /** Host memory, for who plays an odd device. */
  get view(): DataView {
    return this.rig.dma.space.memory.view;
  }

  /** Another id for a buffer that the device used. */
  writeId({ idAt }: Used, id: number): void {
    if (this.has(VIRTIO_F.RING_PACKED)) this.view.setUint16(idAt, id, true);
    else this.view.setUint32(idAt, id, true);
  }

  /** Change the header that the device wrote into a buffer. */
  editHeader({ exposed }: Used, edit: (header: DataView) => void): void {
    const first = exposed?.element.descriptors.find(({ access }) => access === 'writable');
    const { space } = this.rig.dma;
    const bytes = VIRTIO_NET_HDR_SIZE.V1;
    const at =
      first === undefined || first.length < bytes ? -1 : space.resolve(Number(first.address), bytes, ACCESS.WRITE);
    if (at >= 0) edit(new DataView(this.view.buffer, at, bytes));
  }

  /** Whether a feature is negotiated. */
  has(bit: number): boolean {
    return this.watch.has(bit);
  }

  get driver(): GuestDriver {
    if (this.opened === undefined) throw new DriverFailed('the driver is not there');
    return this.opened;
  }

  /** The driver's address. */
  get mac(): Uint8Array {
    const mac: unknown = this.ask('mac', () => this.driver.mac);
    if (mac instanceof Uint8Array && mac.length === MAC_BYTES) return mac;
    return this.fail('driver.opens', `mac is ${String(mac)}, want ${MAC_BYTES} bytes`);
  }

  /** Undefined for a driver that does not say. */
  get isLinkUp(): boolean | undefined {
    return this.ask('isLinkUp', () => this.driver.isLinkUp);
  }

  get isBroken(): boolean {
    return this.ask('isBroken', () => this.driver.isBroken) === true;
  }

  get isThere(): boolean {
    return this.opened !== undefined;
  }

  /** Have the driver take the device into use. @returns why it does not */
  open(): string | undefined {
    const made = this.ask('openDriver', () => this.module.openDriver(this.machine));
    const problem = this.ask('openDriver', () => driverProblem(made));
    if (problem !== undefined) this.fail('driver.opens', problem);
    if (isDriverRefusal(made)) return made.refused;
    this.opened = made;
    this.settle();
    return undefined;
  }

  /** The same where nothing stands in its way. @throws DriverFailed when it does not */
  mustOpen(): void {
    const refused = this.open();
    if (refused !== undefined) this.fail('driver.opens', `the driver does not take the device: ${refused}`);
    this.verdict.keep('driver.opens');
    const isUp = this.watch.isRunning;
    this.verdict.judge('drv.basic.init.12', isUp, 'the driver is open, and DRIVER_OK is not set');
    if (!isUp) throw new DriverFailed('the device does not run');
  }

  /** Have the driver give the device back. */
  stop(): void {
    const { driver } = this;
    const { resets } = this.watch;
    this.ask('stop', () => driver.stop());
    this.opened = undefined;
    const isReset = this.watch.resets > resets && !this.watch.isLive;
    const why = this.watch.resets === resets ? 'the device was not reset' : 'the reset was not seen to end';
    this.verdict.judge('drv.basic.cleanup.2', isReset, `the driver stopped with buffers exposed, and ${why}`);
  }

  /** Have the driver suspend the device, go on, or reset queues: what it has a method for. */
  command(what: 'suspend' | 'resume' | 'restart'): void {
    const { driver } = this;
    this.ask(what, () => driver[what]?.());
    this.watch.commanded(what);
  }

  transmit(frame: Uint8Array): boolean {
    const { driver } = this;
    return this.ask('transmit', () => driver.transmit(frame));
  }

  /** The driver’s turn, then the device’s. @returns whether there was anything */
  turn(): boolean {
    const { driver, rig } = this;
    if (driver.flush !== undefined) this.ask('flush', () => driver.flush!());
    this.endTurn();
    const moved = this.stepDevice();
    let done = 0;
    for (const vector of rig.takeInterrupts()) {
      done++;
      this.interrupt(vector);
    }
    if (this.opened === undefined) return moved;
    const polled = this.ask('poll', () => driver.poll());
    this.endTurn();
    return moved || done > 0 || polled === true;
  }

  /** Turns until nothing is to be done. */
  settle(): void {
    const most = this.rig.inTurns ? IDLE_TURNS : IDLE_TURNS_ALONE;
    for (let turns = 0, idle = 0; turns < TURNS_MAX && idle < most && this.isThere; turns++)
      idle = this.turn() ? 0 : idle + 1;
  }

  /** Turns until something holds. @returns whether it does */
  until(holds: () => boolean): boolean {
    const most = this.rig.inTurns ? IDLE_TURNS : PATIENT_TURNS;
    for (let turns = 0, idle = 0; turns < TURNS_MAX && idle < most && this.isThere; turns++) {
      if (holds()) return true;
      idle = this.turn() ? 0 : idle + 1;
    }
    return holds();
  }

  /** Time goes by: the driver looks after its device. */
  pass(times = 1): void {
    for (let i = 0; i < times && this.isThere; i++) {
      this.time += WATCH_MS;
      const { driver } = this;
      if (driver.watch !== undefined) this.ask('watch', () => driver.watch!());
      this.settle();
    }
  }

  /** An interrupt that the driver gets now. */
  interrupt(vector: number): void {
    const { driver } = this;
    if (driver.interrupt === undefined) return;
    const handle = (): void => this.ask('interrupt', () => driver.interrupt!(vector));
    if (this.pci === undefined) handle();
    else this.pci.handle(vector, handle);
    this.mmio?.handled(this.rig.isLineUp());
  }

  /** The device says that its configuration changed. */
  configInterrupt(): void {
    const vector = (this.pci ?? this.plain)?.configVector;
    if (vector === undefined) this.twist.configCause = true;
    this.interrupt(vector ?? 0);
  }

  /** Vectors that mean something to the driver; 0 alone is the line. */
  get vectors(): readonly number[] {
    return this.rig.messages.length === 0 ? [0] : this.rig.messages.map((_, vector) => vector);
  }

  /** @throws DriverFailed */
  fail(id: StatementId, message: string): never {
    this.verdict.break(id, message, null, true);
    throw new DriverFailed(message);
  }

  async close(): Promise<void> {
    this.opened = undefined;
    this.port.clear();
    await this.rig.close();
  }

  /** What the driver left of its memory. */
  get heldBytes(): number {
    return [...this.dma.held.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  private ask<T>(what: string, act: () => T): T {
    this.watch.begin();
    this.pauses = 0;
    try {
      return act();
    } catch (error) {
      if (error instanceof DriverFailed) throw error;
      this.opened = undefined;
      const why = error instanceof Error ? error.message : String(error);
      const verb = error instanceof DriverHangs ? 'does not end' : 'throws';
      return this.fail('driver.survives', `${what} ${verb}: ${why}`);
    }
  }

  private endTurn(): void {
    this.watch.turnOver();
  }

  private stepDevice(): boolean {
    // A device that needs a reset does nothing else.
    if (this.twist.needsReset) return false;
    const moved = this.rig.step();
    for (const ring of this.watch.rings.values()) {
      const used = ring.lookDevice();
      if (used.length > 0) this.meddle?.(ring.index, used);
    }
    return moved;
  }

  private pause(): void {
    if (++this.pauses > PAUSES_MAX) throw new DriverHangs(`the driver waited ${PAUSES_MAX} times in one call`);
    if (this.isSteppedByDriver) return;
    this.isSteppedByDriver = true;
    this.endTurn();
    this.stepDevice();
    this.isSteppedByDriver = false;
  }

  private makeMachine(): GuestMachine {
    const { pci, mmio, rig } = this;
    let transport: Transport | undefined;
    // Made when the driver asks for it: one with register code of its own does not.
    const open = (): Transport => {
      transport ??= this.transport();
      return transport;
    };
    return {
      get transport() {
        return open();
      },
      ...(pci === undefined ? {} : { pci }),
      ...(mmio === undefined ? {} : { mmio }),
      dma: this.dma,
      messages: rig.messages,
      now: () => this.time,
      pause: () => this.pause(),
      receive: (frame) => {
        this.received.push(frame.slice());
      },
    };
  }

  private transport(): Transport {
    const opened = this.plain ?? (this.mmio === undefined ? openPciTransport(this.pci!) : openMmioTransport(this.mmio));
    if (isBreakdown(opened)) throw new Error(opened.message);
    return opened;
  }
}
