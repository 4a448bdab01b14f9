import type { Eswitch } from '@ringwire/eswitch';
import { HostMemory } from '@ringwire/guest-memory';
import type { VendorBFunction } from '@ringwire/vendor-b';
import { type CardFunction, CardMachine } from '../claims/card-machine.js';
import type { FunctionKind } from '../claims/function-kind.js';
import { MSS, type Station, TCP_HEADERS, tcpFrame } from '../claims/station.js';
import { HostileFunction, type HostileHome } from './hostile-function.js';
import { openStation } from './open-station.js';
import type { Random } from './random.js';
import { type Found, FRAMES, findTaint, taintFrame, taintMemory } from './taint.js';
import { WireProbe } from './wire-probe.js';

const BUDGET = 64;
/** A driver of a physical function hears of a reset, says what follows from it, and the switch has it. */
const ROUNDS = 3;
const PAGE = 4096;
const RAM_BYTES = 0x10_0000;
/** Allocations from this size on are for frames alone. */
const POOL_BYTES = 0x8000;
/** … and smaller ones are no buffers. */
const BUFFER_BYTES = 2048;
/** Upper word of addresses of guests' RAM. */
const RAM_HIGH = 1;
/** Where a frame's taint begins: behind addresses, two tags and a type, and a multiple of 4. */
const TAINT_AT = 24;
/** Shortest frame that taint is found in, and the length that hardware makes frames. */
export const SHORTEST = 40;
const PADDED = 60;
/** The same of a message that is cut up, and bytes of its segments before and behind whole words of taint. */
const MESSAGE_TAINT_AT = 56;
const ODD = 4;
/** What is in front of a frame as it was sent: virtio 1.4 §5.1.6, struct virtio_net_hdr, and tags of the switch's. */
const IN_FRONT: number = 12 + 2 * 4;
/** The longest segment's frame. */
const SEGMENT: number = TCP_HEADERS + MSS;
const WIRE_OWNER = 0;
const WIRE = 0;

/** Something that was sent: its bytes, and the ports that the switch decided on. */
interface Sent {
  readonly bytes: Uint8Array;
  readonly ports: ReadonlySet<number>;
  /** It is cut up into segments of its payload. */
  readonly isCut: boolean;
}

/** A guest's RAM by pages: never used by its driver, for frames, or for rings and what else a driver has. */
type Use = 'never' | 'frames' | 'rings';

/** One guest: its function, and what its RAM was before the card worked. */
class TaintedGuest {
  readonly of: CardFunction;
  /** In tainted bytes: 1 to 3. */
  readonly owner: number;
  readonly uses: Use[] = [];
  readonly before: Uint8Array;

  constructor(of: CardFunction, owner: number) {
    this.of = of;
    this.owner = owner;
    this.before = new Uint8Array(of.ramBytes);
  }
}

/**
 * A card with guests of several kinds, all of whose bytes say whose they are: after each step of the card whatever became other
 * than before is looked at. Violations are noted in words.
 */
export class TaintCard implements HostileHome {
  readonly machine: CardMachine;
  readonly stations: (Station | undefined)[] = [];
  readonly violations: string[] = [];
  /** Frames that were received, by guests and beyond the wire. */
  received = 0;
  private readonly rings: 'split' | 'packed';
  private readonly outside: WireProbe;
  private readonly hosts: Station[] = [];
  /** RAM of the hosts, before the card worked. */
  private readonly hostsBefore: Uint8Array[];
  private readonly guests: TaintedGuest[] = [];
  private readonly sent: Sent[] = [];
  /** Frames that come by the wire when the card works. */
  private readonly coming: Uint8Array[] = [];
  private hostile = -1;

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
    this.hostsBefore = machine.hosts.map(({ ramBytes }) => new Uint8Array(ramBytes));
    this.outside.heard = (bytes) => this.take(bytes, WIRE, 'beyond the wire');
    for (const [vf, station] of this.stations.entries())
      station!.heard = (bytes) => this.take(bytes, this.guests[vf]!.of.port.number, `guest ${vf}`);
    for (const [at, host] of this.hosts.entries())
      host.heard = (bytes) => this.take(bytes, machine.hosts[at]!.port.number, `host ${at}`);
  }

  get eswitch(): Eswitch {
    return this.machine.eswitch;
  }

  open(of: CardFunction): Station {
    return openStation(this.machine, of, { rings: this.rings, now: () => 0, pause: () => this.pause() });
  }

  /** From here on a guest does as it likes: it is not asked what it received, and its own bytes are its own affair. */
  turnHostile(vf: number, random: Random): HostileFunction {
    this.hostile = vf;
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
    const number = this.sent.length;
    if (number === FRAMES) return false;
    const guest = this.guests[from];
    taintFrame(frame, taintAt, guest?.owner ?? WIRE_OWNER, number);
    // As it will be in the switch: some functions make frames longer, or cut them up.
    const inSwitch = new Uint8Array(isCut ? Math.min(SEGMENT, frame.length) : Math.max(PADDED, frame.length));
    inSwitch.set(frame.subarray(0, inSwitch.length));
    const { ports } = this.eswitch.explain(guest?.of.port.number ?? WIRE, inSwitch);
    const own = ports.filter(({ drop }) => drop === undefined).map(({ port }) => port);
    this.sent.push({ bytes: frame, ports: new Set(own), isCut });
    return true;
  }

  /** The card works, until it comes to rest, and drivers do: what a hostile function led to is done before anybody sends again. */
  work(): void {
    for (let round = 0; round < (this.hostile < 0 ? 1 : ROUNDS); round++) {
      this.watch();
      this.turn();
    }
  }

  /** The card works; what it wrote is looked at before anybody else writes anything. */
  private watch(): void {
    const { memory, hosts } = this.machine;
    for (const guest of this.guests) this.remember(guest);
    for (const [at, { ramAt, ramBytes }] of hosts.entries())
      this.hostsBefore[at]!.set(memory.u8.subarray(ramAt, ramAt + ramBytes));
    const counts = this.guests.map(({ of }) => this.framesTo(of));
    for (const frame of this.coming.splice(0)) this.outside.send(frame);
    for (let step = 0; step < 20 && this.machine.step(BUDGET) > 0; step++);
    for (const [vf, guest] of this.guests.entries()) this.check(vf, guest, this.framesTo(guest.of) - counts[vf]!);
    for (const [at, host] of hosts.entries()) this.checkHost(host, this.hostsBefore[at]!);
  }

  /** Settings were changed: the card has them before anything is sent. */
  settle(): void {
    for (let turn = 0; turn < 100; turn++) this.pause();
  }

  /** What vendor B's functions are saved as. */
  lookAtStates(): void {
    for (const { of } of this.guests) {
      if (of.kind !== 'vendor-b') continue;
      const place = this.machine.hosts.findIndex(({ kind }) => kind === of.kind);
      const personality = this.machine.nics[place]!.personalityOf(of.index) as VendorBFunction;
      personality.suspend();
      this.look(of.vf, personality.saveState() ?? new Uint8Array(), 'its saved state');
      personality.resume();
    }
  }

  /** Bytes that somebody was shown: registers, or a saved state. @param vf who sees them @param what in words */
  look(vf: number, bytes: Uint8Array, what: string): void {
    this.judge(vf, this.guests[vf]!, bytes, 0, bytes.length, what);
  }

  private openTainted(of: CardFunction): void {
    const { machine } = this;
    const guest = new TaintedGuest(of, of.vf + 1);
    this.guests.push(guest);
    const own = machine.dma(of);
    const allocated: { address: number; bytes: number }[] = [];
    const dma = {
      space: own.space,
      allocate: (bytes: number): number => {
        const address = own.allocate(bytes);
        allocated.push({ address, bytes });
        return address;
      },
      free: (address: number): void => own.free(address),
    };
    this.stations[of.vf] = openStation(machine, of, {
      rings: this.rings,
      now: () => 0,
      pause: () => this.pause(),
      dma,
    });
    this.settle();
    this.sortPages(guest, allocated);
    for (const [page, use] of guest.uses.entries())
      if (use !== 'rings') taintMemory(machine.memory.u8, of.ramAt + page * PAGE, PAGE, guest.owner, page * PAGE);
  }

  /** A page is for frames when its allocation is large, or when its address is in a ring; else it may be a ring. */
  private sortPages({ of, uses }: TaintedGuest, allocated: readonly { address: number; bytes: number }[]): void {
    const { ramAt, ramBytes } = of;
    const ram = this.machine.memory.u32.subarray(ramAt / 4, (ramAt + ramBytes) / 4);
    // Addresses are two words; vendor B has a length in the upper half of the second.
    const addresses = new Set<number>();
    for (let word = 0; word + 1 < ram.length; word++)
      if ((ram[word + 1]! & 0xffff) === RAM_HIGH) addresses.add(ram[word]!);
    for (let page = 0; page < ramBytes / PAGE; page++) uses.push('never');
    for (const { address, bytes } of allocated) {
      const isForFrames = bytes >= POOL_BYTES || (bytes >= BUFFER_BYTES && addresses.has(address % 2 ** 32));
      const first = (address % 2 ** 32) / PAGE;
      for (let page = first; page < first + bytes / PAGE; page++) uses[page] = isForFrames ? 'frames' : 'rings';
    }
  }

  private remember({ of, before }: TaintedGuest): void {
    before.set(this.machine.memory.u8.subarray(of.ramAt, of.ramAt + of.ramBytes));
  }

  private framesTo({ port }: CardFunction): number {
    return this.eswitch.ports[port.number]!.counters.outFrames;
  }

  /** @param came frames that the switch handed to it meanwhile */
  private check(vf: number, guest: TaintedGuest, came: number): void {
    const { of, before, uses } = guest;
    const now = this.machine.memory.u8.subarray(of.ramAt, of.ramAt + of.ramBytes);
    let known = 0;
    const changed = changedPages(before, now);
    for (const from of changed)
      if (vf !== this.hostile && uses[from / PAGE] === 'never')
        this.violations.push(`guest ${vf}: page ${from / PAGE}, which its driver never had, was written`);
    const explained = new Uint8Array(of.ramBytes);
    for (const from of changed) known += this.judge(vf, guest, now, from, from + PAGE, 'its RAM', explained);
    // What a hostile guest sent to it says nothing of itself.
    if (vf === this.hostile || came > known) return;
    for (const from of changed)
      for (let at = from; at < from + PAGE && uses[from / PAGE] === 'frames'; at++)
        if (now[at] !== before[at] && explained[at] === 0) {
          this.violations.push(`guest ${vf}: byte ${at.toString(16)} was written, which is no frame's`);
          break;
        }
  }

  private checkHost({ ramAt, ramBytes, port }: CardFunction, before: Uint8Array): void {
    const ram = this.machine.memory.u8.subarray(ramAt, ramAt + ramBytes);
    for (const page of changedPages(before, ram))
      for (const { owner, frame } of findTaint(ram, page, page + PAGE))
        if (owner !== this.hostile + 1 && (frame < 0 || !this.mayHave(port.number, frame)))
          this.violations.push(`host at port ${port.number}: bytes of owner ${owner}, frame ${frame}`);
  }

  /** Look for bytes of others. @returns frames that begin there, by right */
  private judge(
    vf: number,
    { owner: own, of }: TaintedGuest,
    u8: Uint8Array,
    from: number,
    end: number,
    what: string,
    explained?: Uint8Array,
  ): number {
    let frames = 0;
    for (const found of findTaint(u8, from, end)) {
      const { owner, frame, offset, at, bytes } = found;
      const isOwn = owner === own && (frame < 0 || this.sent[frame] !== undefined);
      if (frame < 0 ? isOwn : this.mayHave(of.port.number, frame) || isOwn) {
        if (frame >= 0 && (offset === 0 || this.sent[frame]!.isCut)) frames++;
        if (frame >= 0 && explained !== undefined) this.explain(explained, u8, found);
        continue;
      }
      // What a hostile guest writes may look like anything.
      if (owner === this.hostile + 1 && this.hostile >= 0) continue;
      const whose = frame < 0 ? `memory at ${offset.toString(16)}` : `frame ${frame} at ${offset}`;
      this.violations.push(`guest ${vf}, ${what} at ${at.toString(16)}: ${bytes} bytes of owner ${owner}, ${whose}`);
    }
    return frames;
  }

  /** Headers in front of the taint, the rest of its last word, and the padding of a short frame, which has to be zeros. */
  private explain(explained: Uint8Array, u8: Uint8Array, found: Found): void {
    const { bytes, isCut } = this.sent[found.frame]!;
    const until = found.at + found.bytes;
    if (isCut) {
      explained.fill(1, Math.max(0, found.at - ODD - TCP_HEADERS - IN_FRONT), until + ODD);
      return;
    }
    const start = found.at - found.offset - TAINT_AT;
    explained.fill(1, Math.max(0, start - IN_FRONT), Math.max(until, start + bytes.length));
    for (let at = start + bytes.length; at < start + PADDED; at++) if (u8[at] === 0) explained[at] = 1;
  }

  private mayHave(port: number, frame: number): boolean {
    return this.sent[frame]?.ports.has(port) ?? false;
  }

  /** A driver, or whoever is beyond the wire, was given a frame: it is one that was sent, but for tags and padding. */
  private take(bytes: Uint8Array, port: number, who: string): void {
    const [found] = findTaint(bytes, 0, bytes.length);
    this.received++;
    if (found === undefined) {
      if (this.hostile < 0) this.violations.push(`${who}: a frame that nobody sent`);
      return;
    }
    const { frame } = found;
    if (!this.mayHave(port, frame)) {
      if (found.owner !== this.hostile + 1) this.violations.push(`${who}: frame ${frame}, which is not for it`);
      return;
    }
    const { bytes: sent, isCut } = this.sent[frame]!;
    if (isCut) {
      this.takeSegment(untagged(bytes), sent, found, who);
      return;
    }
    const [got, want] = [untagged(bytes), untagged(sent)];
    const isSame = got.length >= want.length && want.every((byte, at) => byte === got[at]);
    const rest = got.slice(want.length);
    if (!isSame || rest.some((byte) => byte !== 0) || got.length > Math.max(PADDED, want.length))
      this.violations.push(`${who}: frame ${frame} is not as it was sent`);
  }

  /** A segment's payload is a part of its message's; headers are made for it. */
  private takeSegment(got: readonly number[], sent: Uint8Array, found: Found, who: string): void {
    const [first] = findTaint(Uint8Array.from(got), 0, got.length);
    const from = MESSAGE_TAINT_AT + found.offset - (first!.at - TCP_HEADERS);
    const isPart = got.slice(TCP_HEADERS).every((byte, at) => byte === sent[from + at] || from + at >= sent.length);
    const isWhole =
      got.length <= SEGMENT && from >= TCP_HEADERS && from + got.length - TCP_HEADERS <= Math.max(sent.length, PADDED);
    if (!isPart || !isWhole) this.violations.push(`${who}: a segment of frame ${found.frame} is not as it was sent`);
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

/** Offsets of pages that are other than before. */
function changedPages(before: Uint8Array, now: Uint8Array): number[] {
  const pages: number[] = [];
  for (let from = 0; from < now.length; from += PAGE)
    if (Buffer.compare(now.subarray(from, from + PAGE), before.subarray(from, from + PAGE)) !== 0) pages.push(from);
  return pages;
}

/** A frame without its tags. */
function untagged(bytes: Uint8Array): number[] {
  const all = [...bytes];
  while ((all[12] === 0x81 && all[13] === 0) || (all[12] === 0x88 && all[13] === 0xa8)) all.splice(12, 4);
  return all;
}
