import {
  type ArbiterOptions,
  runUntil,
  type Stepped,
  TransmitArbiter,
  VirtualClock,
  wireBytes,
} from '@ringwire/eswitch';
import type { IxgbePf } from '@ringwire/guest-drivers/ixgbe';
import { DELIVERED, type FrameSink } from '@ringwire/net-backend';
import { type CardFunction, CardMachine, type CardPlan } from './card-machine.js';
import type { FunctionKind } from './function-kind.js';
import { ixgbeStation, vendorBStation } from './kernel-station.js';
import { PollStation } from './poll-station.js';
import type { Station, StationSetup } from './station.js';

/** Counts what leaves by the wire, and may send it back, as the bridge beside a VEPA does. */
export class WireEnd implements FrameSink {
  readonly offloads: number = 0;
  frames = 0;
  wireBytes = 0;
  returnTo: FrameSink | undefined = undefined;

  receive: FrameSink['receive'] = (frame) => {
    this.frames++;
    this.wireBytes += wireBytes(1, frame.length);
    return this.returnTo?.receive(frame) ?? DELIVERED.ACCEPTED;
  };
}

/** A card in virtual time, and what stands around it. */
export interface PopulatedPlan extends Omit<CardPlan, 'now' | 'gate'> {
  readonly arbiter?: Partial<Omit<ArbiterOptions, 'now'>>;
  readonly rings?: 'split' | 'packed';
}

/** A card in virtual time with a driver on every function: real devices, drivers, rings, translation, switch, arbiter, wire. */
export class PopulatedCard implements Stepped {
  readonly clock: VirtualClock = new VirtualClock();
  readonly arbiter: TransmitArbiter;
  readonly machine: CardMachine;
  readonly wire: WireEnd = new WireEnd();
  /** The hosts' stations, by physical function, and the guests'. */
  readonly hosts: readonly Station[];
  readonly guests: readonly Station[];
  /** The driver that owns the 82599, where there is one: what its virtual functions may do is said there. */
  pf: IxgbePf | undefined = undefined;
  private readonly stations: Station[] = [];

  constructor(plan: PopulatedPlan) {
    const { now } = this.clock;
    this.arbiter = new TransmitArbiter({ now, ...plan.arbiter });
    this.machine = new CardMachine({ ...plan, now, gate: this.arbiter });
    this.machine.eswitch.wire.backend.attach(this.wire);
    const open = (of: CardFunction): Station => {
      const station = this.open(of, plan.rings);
      of.onMessage = (data) => station.message(data);
      this.stations.push(station);
      return station;
    };
    this.hosts = this.machine.hosts.map((host) => {
      const station = open(host);
      this.machine.enable(host);
      return station;
    });
    this.guests = this.machine.guests.map(open);
    this.settle();
  }

  step(budget: number): number {
    for (const station of this.stations) station.turn();
    return this.machine.step(budget);
  }

  deadline(): number {
    return this.machine.deadline();
  }

  /** Go on for so many µs. */
  run(microseconds: number): void {
    runUntil(this, this.clock, this.clock.now() + microseconds);
  }

  /** Bytes on the wire that each port, by number, was let through in so many µs from now on. */
  measure(microseconds: number): number[] {
    const ports = this.machine.eswitch.ports.map(({ number }) => this.arbiter.countersOf(number));
    const before = ports.map(({ wireBytes }) => wireBytes);
    this.run(microseconds);
    return ports.map(({ wireBytes }, number) => wireBytes - before[number]!);
  }

  private open(of: CardFunction, rings: 'split' | 'packed' | undefined): Station {
    const { machine } = this;
    const setup: StationSetup = {
      access: machine.access(of),
      dma: machine.dma(of),
      mac: of.mac,
      now: this.clock.now,
      pause: () => this.pause(),
      ...(rings === undefined ? {} : { rings }),
    };
    if (of.kind === 'virtio') return new PollStation(setup);
    if (of.kind === 'vendor-b') return vendorBStation(setup);
    const { station, pf } = ixgbeStation(setup, of.vf < 0 ? this.count('82599') : undefined);
    if (pf !== undefined) this.pf = pf;
    return station;
  }

  private count(kind: FunctionKind): number {
    return this.machine.guests.filter((guest) => guest.kind === kind).length;
  }

  private pause(): void {
    this.machine.step(64);
    for (const station of this.stations) station.turn();
  }

  /** Until drivers have said all that they have to say while they come up. */
  private settle(): void {
    for (let turn = 0; turn < 100; turn++) this.pause();
  }
}
