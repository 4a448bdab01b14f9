import { performance } from 'node:perf_hooks';
import type { HostMemory } from '@ringwire/guest-memory';
import { type HandoverClaim, MigrationSource, MigrationTarget, sharedClaim, type VdpaDevice } from '@ringwire/vdpa';
import { MovingRam, type MovingWire } from '@ringwire/vdpa/testing';
import type { Layout } from '../case-plan.js';
import { DRIVER_BYTES, MovingDriver } from './moving-driver.js';
import { DEVICES, type MovingPlace } from './moving-places.js';

/** The guest's RAM: 8 MiB, of which every page has something in it. */
export const GUEST_BYTES = 0x80_0000;
const GPA = 0x10_0000;
/** Pages that a move copies between two turns of the guest's. */
const PAGES = 64;
const TURNS = 100_000;
/** Frames of each driver in a turn. */
const FRAMES = 2;

/** What a move was. */
export interface MoveFigures {
  /** Of the device whose memory took most. */
  readonly rounds: number;
  /** Copied while the guest ran, and while it stood still; of all devices. */
  readonly pages: number;
  readonly lastPages: number;
  /** ms from the guest's pause until all devices run elsewhere. */
  readonly downtime: number;
  /** ms of processors that this process used meanwhile. */
  readonly cpu: number;
}

/** A guest with {@link DEVICES} devices, each with a driver under traffic, that moves with all of them at once. */
export class MovingGuest {
  readonly drivers: readonly MovingDriver[];
  private readonly rams: readonly MovingRam[];
  private readonly wires: readonly MovingWire[];
  private at: MovingPlace;
  /** ms that it took to put what was brought in the place of what was left: between two machines there is no such thing. */
  private landing = 0;

  /** @param host,spare host offsets of `GUEST_BYTES` each */
  constructor(
    memory: HostMemory,
    host: number,
    spare: number,
    wires: readonly MovingWire[],
    at: MovingPlace,
    layout: Layout,
  ) {
    memory.u8.fill(0, host, host + DEVICES * DRIVER_BYTES);
    memory.u8.fill(0x5a, host + DEVICES * DRIVER_BYTES, host + GUEST_BYTES);
    this.wires = wires;
    this.at = at;
    this.show(at);
    this.drivers = at
      .add()
      .map((device, index) => new MovingDriver(memory, host + index * DRIVER_BYTES, device, layout));
    // Each device's move carries its driver's memory, and the last one's all the rest.
    this.rams = this.drivers.map((_, index) => {
      const from = index * DRIVER_BYTES;
      const bytes = index === DEVICES - 1 ? GUEST_BYTES - from : DRIVER_BYTES;
      return new MovingRam(memory, host + from, spare + from, bytes, GPA + from);
    });
    for (const driver of this.drivers) driver.start();
  }

  /** Frames that were sent and did not come back, whatever the guest waited; and those that came twice. */
  get faults(): { readonly lost: number; readonly doubled: number; readonly frames: number } {
    const sum = (value: (driver: MovingDriver) => number): number =>
      this.drivers.reduce((total, driver) => total + value(driver), 0);
    const missing = sum(({ sent, received }) => sent - received);
    return {
      lost: missing + sum(({ lost }) => lost),
      doubled: sum(({ doubled }) => doubled),
      frames: sum(({ sent }) => sent),
    };
  }

  /** Let everything come that is on its way. */
  settle(): void {
    for (let turn = 0; turn < TURNS; turn++)
      if (this.drivers.reduce((moved, driver) => moved + driver.turn(0), 0) === 0) return;
    throw new Error('the devices do not come to rest');
  }

  /** Move with all devices, under traffic. @throws when one of them stays */
  move(to: MovingPlace): MoveFigures {
    const here = this.drivers.map(({ device }) => device);
    const there = to.add();
    const moves = here.map((device, index) => this.begin(index, device, there[index]!, () => this.land(there, to)));
    for (const { source } of moves) source.begin();
    let pausedAt = -1;
    let downtime = Number.NaN;
    let cpu = Number.NaN;
    let before = process.cpuUsage();
    for (let turn = 0; !moves.every(({ source, target }) => source.isOver && target.isOver); turn++) {
      if (turn > TURNS) throw new Error('a move does not come to an end');
      if (pausedAt < 0) for (const driver of this.drivers) driver.turn(FRAMES);
      // All of them, or none yet: a guest that stands still waits for nobody's memory.
      const isLast = moves.every(({ source }) => source.state === 'stopping' || source.state === 'waiting');
      if (isLast && pausedAt < 0) {
        pausedAt = performance.now();
        before = process.cpuUsage();
      }
      for (const { source } of moves) if (isLast || source.state !== 'stopping') source.turn(PAGES);
      for (const each of moves) each.deliver();
      if (!moves.every(({ source }) => source.state === 'waiting')) continue;
      for (const each of moves) each.finish();
      downtime = performance.now() - pausedAt - this.landing;
      const { user, system } = process.cpuUsage(before);
      cpu = (user + system) / 1000 - this.landing;
      for (const each of moves) each.deliver();
    }
    for (const { source, target } of moves)
      if (source.state !== 'moved') throw new Error(`a device stays: ${source.problem ?? target.problem}`);
    this.at.remove(here);
    this.at = to;
    const reports = moves.map(({ source }) => source.report);
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    return {
      rounds: Math.max(...reports.map(({ rounds }) => rounds.length)),
      pages: sum(reports.flatMap(({ rounds }) => rounds.map(({ pages, zeros }) => pages + zeros))),
      lastPages: sum(reports.map(({ lastPages }) => lastPages)),
      downtime,
      cpu,
    };
  }

  /** The guest goes, and its devices with it. */
  close(): void {
    for (const { device } of this.drivers) device.reset();
    this.at.remove(this.drivers.map(({ device }) => device));
  }

  private begin(index: number, from: VdpaDevice, to: VdpaDevice, startGuest: () => void): DeviceMove {
    const driver = this.drivers[index]!;
    const ram = this.rams[index]!;
    return new DeviceMove(
      (claim, send) =>
        new MigrationSource({
          device: from,
          places: () => driver.places,
          ram: ram.source,
          written: [() => driver.takeWritten()],
          send,
          claim,
        }),
      (claim, send) =>
        new MigrationTarget({ device: to, ram: ram.target, send, claim, notifyDriver: () => {}, startGuest }),
    );
  }

  /** The guest is where its memory came to: everything of it has, when the first device starts. */
  private land(there: readonly VdpaDevice[], to: MovingPlace): void {
    if (this.drivers[0]!.device === there[0]) return;
    const before = performance.now();
    for (const ram of this.rams) ram.land();
    this.landing = performance.now() - before;
    for (const [index, driver] of this.drivers.entries()) driver.device = there[index]!;
    this.show(to);
  }

  private show({ port }: MovingPlace): void {
    for (const wire of this.wires) wire.at = port;
  }
}

/** One device on its way: what source and target say, in order. That a source has said all is held back until all have. */
class DeviceMove {
  readonly source: MigrationSource;
  readonly target: MigrationTarget;
  private readonly toTarget: Uint8Array[] = [];
  private readonly toSource: Uint8Array[] = [];
  private last: Uint8Array | undefined = undefined;

  constructor(
    source: (claim: HandoverClaim, send: (bytes: Uint8Array) => void) => MigrationSource,
    target: (claim: HandoverClaim, send: (bytes: Uint8Array) => void) => MigrationTarget,
  ) {
    const claim = sharedClaim(new Int32Array(new SharedArrayBuffer(4)));
    this.source = source(claim, (bytes) => {
      // Waiting for an answer is what a source does with its last record.
      if (this.source.state === 'waiting') this.last = bytes.slice();
      else this.toTarget.push(bytes.slice());
    });
    this.target = target(claim, (bytes) => this.toSource.push(bytes.slice()));
  }

  deliver(): void {
    for (const bytes of this.toTarget.splice(0)) this.target.receive(bytes);
    for (const bytes of this.toSource.splice(0)) this.source.receive(bytes);
  }

  /** All sources have said all: the device goes on there. */
  finish(): void {
    if (this.last !== undefined) this.target.receive(this.last);
    this.last = undefined;
  }
}
