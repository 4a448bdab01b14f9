import type { Eswitch } from '@ringwire/eswitch';
import { HostMemory } from '@ringwire/guest-memory';
import type { VendorBFunction } from '@ringwire/vendor-b';
import { type CardFunction, CardMachine } from '../claims/card-machine.js';
import type { FunctionKind } from '../claims/function-kind.js';
import { type Station, tcpFrame } from '../claims/station.js';
import { HostileFunction, type HostileHome } from './hostile-function.js';
import { openStation } from './open-station.js';
import type { Random } from './random.js';
import { FRAMES, taintFrame } from './taint.js';
import { MESSAGE_TAINT_AT, PADDED, SEGMENT, TAINT_AT, TaintJudge } from './taint-judge.js';
import { TaintedGuest, WatchedRam } from './tainted-guest.js';
import { WireProbe } from './wire-probe.js';

const BUDGET = 64;
/** A driver of a physical function hears of a reset, says what follows from it, and the switch has it. */
const ROUNDS = 3;
/** Turns in which drivers, and settings, come to rest. */
const SETTLE = 100;
const RAM_BYTES = 0x10_0000;
/** Shortest frame that taint is found in. */
export const SHORTEST = 40;
const WIRE_OWNER = 0;
const WIRE = 0;

/**
 * A card with guests of several kinds, all of whose bytes say whose they are: after each step of the card whatever became other
 * than before is looked at.
 */
export class TaintCard implements HostileHome {
  readonly machine: CardMachine;
  readonly stations: (Station | undefined)[] = [];
  readonly judge: TaintJudge = new TaintJudge();
  private readonly rings: 'split' | 'packed';
  private readonly outside: WireProbe;
  private readonly hosts: Station[] = [];
  private readonly hostRams: readonly WatchedRam[];
  private readonly guests: TaintedGuest[] = [];
  /** Frames that come by the wire when the card works. */
  private readonly coming: Uint8Array[] = [];

  constructor(vfs: readonly FunctionKind[], rings: 'split' | 'packed') {
    this.rings = rings;
    this.machine = new CardMachine({ vfs, now: () => 0, ramBytes: RAM_BYTES, eswitch: { learning: true } });
    const { machine } = this;
    this.outside = new WireProbe(HostMemory.create(0x1_0000), 0);
    this.eswitch.wire.backend.attach(this.outside);
    this.outside.attach(this.eswitch.wire.backend);
    for (const host of machine.hosts) {
      this.hosts.push(this.open(host));
      machine.enable(host);
    }
    for (const guest of machine.guests) this.openTainted(guest);
    this.settle();
    this.hostRams = machine.hosts.map((host) => new WatchedRam(machine.memory, host));
    this.outside.heard = (bytes) => this.judge.take(bytes, WIRE, 'beyond the wire');
    for (const [vf, station] of this.stations.entries())
      station!.heard = (bytes) => this.judge.take(bytes, this.guests[vf]!.of.port.number, `guest ${vf}`);
    for (const [at, host] of this.hosts.entries())
      host.heard = (bytes) => this.judge.take(bytes, machine.hosts[at]!.port.number, `host ${at}`);
  }

  get eswitch(): Eswitch {
    return this.machine.eswitch;
  }

  open(of: CardFunction): Station {
    return openStation(this.machine, of, { rings: this.rings, now: () => 0, pause: () => this.pause() });
  }

  /** From here on a guest does as it likes: it is not asked what it received, and its own bytes are its own affair. */
  turnHostile(vf: number, random: Random): HostileFunction {
    this.judge.hostile = vf;
    return new HostileFunction(this, vf, random);
  }

  /**
   * Send a frame, whose bytes behind its headers say that they are of it.
   * @param from a virtual function, or -1: from beyond the wire
   * @param header addresses, tags and type: at most TAINT_AT bytes
   * @param bytes of the frame, SHORTEST or more
   */
  send(from: number, header: Uint8Array, bytes: number): void {
    const frame = new Uint8Array(bytes);
    frame.set(header);
    if (!this.enlist(from, frame, TAINT_AT, false)) return;
    if (from < 0) this.coming.push(frame);
    else this.stations[from]?.sendOne(frame);
  }

  /** Send a TCP message that the function is to cut up. @param from a virtual function that does so @param to an address */
  sendMessage(from: number, to: Uint8Array, payload: number): void {
    const frame = tcpFrame([...to, ...this.guests[from]!.of.mac], payload);
    if (this.enlist(from, frame, MESSAGE_TAINT_AT, true)) this.stations[from]?.sendOne(frame, true);
  }

  /** Taint a frame, and note who is to get it. @returns false when there were too many */
  private enlist(from: number, frame: Uint8Array, taintAt: number, isCut: boolean): boolean {
    const { sent } = this.judge;
    const number = sent.length;
    if (number === FRAMES) return false;
    const guest = this.guests[from];
    taintFrame(frame, taintAt, guest?.owner ?? WIRE_OWNER, number);
    // As it will be in the switch: some functions make frames longer, or cut them up.
    const inSwitch = new Uint8Array(isCut ? Math.min(SEGMENT, frame.length) : Math.max(PADDED, frame.length));
    inSwitch.set(frame.subarray(0, inSwitch.length));
    const { ports } = this.eswitch.explain(guest?.of.port.number ?? WIRE, inSwitch);
    const own = ports.filter(({ drop }) => drop === undefined).map(({ port }) => port);
    sent.push({ bytes: frame, ports: new Set(own), isCut });
    return true;
  }

  /** The card works, until it comes to rest, and drivers do: what a hostile function led to is done before anybody sends again. */
  work(): void {
    for (let round = 0; round < (this.judge.hostile < 0 ? 1 : ROUNDS); round++) {
      this.watch();
      this.turn();
    }
  }

  /** The card works; what it wrote is looked at before anybody else writes anything. */
  private watch(): void {
    const { guests, hostRams, judge } = this;
    for (const ram of [...guests, ...hostRams]) ram.remember();
    const counts = guests.map(({ of }) => this.framesTo(of));
    for (const frame of this.coming.splice(0)) this.outside.send(frame);
    for (let step = 0; step < 20 && this.machine.step(BUDGET) > 0; step++);
    for (const [vf, guest] of guests.entries()) judge.check(guest, this.framesTo(guest.of) - counts[vf]!);
    for (const host of hostRams) judge.checkHost(host);
  }

  /** Settings were changed: the card has them before anything is sent. */
  settle(): void {
    for (let turn = 0; turn < SETTLE; turn++) this.pause();
  }

  /** What vendor B's functions are saved as. */
  lookAtStates(): void {
    for (const guest of this.guests) {
      const { kind, index } = guest.of;
      if (kind !== 'vendor-b') continue;
      const place = this.machine.hosts.findIndex((host) => host.kind === kind);
      const personality = this.machine.nics[place]!.personalityOf(index) as VendorBFunction;
      personality.suspend();
      this.judge.look(guest, personality.saveState() ?? new Uint8Array(), 'its saved state');
      personality.resume();
    }
  }

  /** What a guest was shown. @param what in words */
  look(vf: number, bytes: Uint8Array, what: string): void {
    this.judge.look(this.guests[vf]!, bytes, what);
  }

  private openTainted(of: CardFunction): void {
    const { machine, rings } = this;
    const guest = new TaintedGuest(machine.memory, of, of.vf + 1);
    this.guests.push(guest);
    const pause = (): void => this.pause();
    const dma = guest.noted(machine.dma(of));
    this.stations[of.vf] = openStation(machine, of, { rings, now: () => 0, pause, dma });
    this.settle();
    guest.taint();
  }

  private framesTo({ port }: CardFunction): number {
    return this.eswitch.ports[port.number]!.counters.outFrames;
  }

  private turn(): void {
    for (const host of this.hosts) host.turn();
    for (const station of this.stations) station?.turn();
  }

  private pause(): void {
    this.turn();
    this.machine.step(BUDGET);
  }
}
