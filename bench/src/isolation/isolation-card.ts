import {
  type ArbiterOptions,
  runUntil,
  type Stepped,
  TransmitArbiter,
  VirtualClock,
  WIRE_AREA_BYTES,
  WirePort,
} from '@ringwire/eswitch';
import { HostMemory } from '@ringwire/guest-memory';
import { type CardFunction, CardMachine, stationMac } from '../claims/card-machine.js';
import type { FunctionKind } from '../claims/function-kind.js';
import type { Station } from '../claims/station.js';
import { openStation } from './open-station.js';
import { WireProbe } from './wire-probe.js';

const BUDGET = 64;
/** Turns in which drivers say all that they have to say while they come up. */
const SETTLE = 100;

/** Who is on the card. */
export interface IsolationPlan {
  readonly vfs: readonly FunctionKind[];
  /** Of all virtio functions. */
  readonly rings: 'split' | 'packed';
  readonly arbiter?: Partial<Omit<ArbiterOptions, 'now' | 'wire'>>;
}

/** What does something at times of its own. */
export interface Timed {
  /** Do what is due. */
  turn(now: number): void;
  /** When the next of it is due, in µs. */
  readonly at: number;
}

/**
 * A card in virtual time whose wire takes time, with a driver on every function, each behind an IOMMU in a domain of its own:
 * what one function can do to the others is looked for here.
 */
export class IsolationCard implements Stepped {
  readonly clock: VirtualClock = new VirtualClock();
  readonly machine: CardMachine;
  readonly arbiter: TransmitArbiter;
  readonly wire: WirePort;
  readonly outside: WireProbe;
  /** By virtual function; a hostile one's may be gone. */
  readonly stations: (Station | undefined)[] = [];
  readonly timed: Timed[] = [];
  /** Turns of the card that did something. */
  rounds = 0;
  private readonly hosts: Station[] = [];
  private readonly rings: IsolationPlan['rings'];

  constructor({ vfs, rings, arbiter }: IsolationPlan) {
    const { now } = this.clock;
    this.rings = rings;
    // A wire works in memory of its own: no function, and no driver, has a way to it.
    const memory = HostMemory.create(Math.ceil(WIRE_AREA_BYTES / 0x1_0000) * 0x1_0000 + 0x1_0000);
    this.wire = new WirePort({ memory, at: 0, now, mac: stationMac(0xfe00) });
    this.arbiter = new TransmitArbiter({ now, wire: this.wire, ...arbiter });
    this.machine = new CardMachine({ vfs, now, gate: this.arbiter });
    this.outside = new WireProbe(memory, memory.size - 0x1_0000);
    this.wire.serve(this.machine.eswitch);
    this.wire.plug(this.outside);
    for (const host of this.machine.hosts) {
      this.hosts.push(this.open(host));
      this.machine.enable(host);
    }
    for (const guest of this.machine.guests) this.stations[guest.vf] = this.open(guest);
    for (let turn = 0; turn < SETTLE; turn++) this.pause();
  }

  /** Bring a driver up on a function, whatever it was before. */
  open(of: CardFunction): Station {
    const { rings } = this;
    return openStation(this.machine, of, { rings, now: this.clock.now, pause: () => this.pause() });
  }

  step(budget: number): number {
    const now = this.clock.now();
    for (const one of this.timed) if (one.at <= now) one.turn(now);
    const done = this.machine.step(budget) + this.wire.step(budget);
    if (done > 0) this.rounds++;
    return done + this.turn();
  }

  deadline(): number {
    let first = Math.min(this.machine.deadline(), this.wire.deadline());
    for (const { at } of this.timed) first = Math.min(first, at);
    return first;
  }

  /** Go on for so many µs. */
  run(microseconds: number): void {
    runUntil(this, this.clock, this.clock.now() + microseconds, BUDGET);
  }

  /** All drivers take what came, and send what they have. @returns frames that moved */
  private turn(): number {
    let moved = 0;
    for (const host of this.hosts) moved += host.turn();
    for (const station of this.stations) moved += station?.turn() ?? 0;
    return moved;
  }

  /** Time stands still while a driver waits. */
  private pause(): void {
    this.turn();
    this.machine.step(BUDGET);
    this.wire.step(BUDGET);
  }
}
