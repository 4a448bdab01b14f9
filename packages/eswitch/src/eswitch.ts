import { DELIVERED, type Delivered, type Frame, type FrameRun } from '@ringwire/net-backend';
import { ETHERNET, HEADER_BYTES } from '@ringwire/net-offload';
import { VirtioError } from '@ringwire/virtio-spec';
import { AddressTable } from './address-table.js';
import { takeAlike } from './alike-run.js';
import { checkMirrors, checkRules } from './check-rules.js';
import { type Decision, FORM } from './decision.js';
import { ESWITCH_DROP, type EswitchPortCounters, NO_DROP } from './drop-reason.js';
import { checkOptions, type EswitchOptions } from './eswitch-options.js';
import type { EswitchPort, PortKind } from './eswitch-port.js';
import { type Explanation, type ExplanationStep, explained } from './explanation.js';
import type { FlowRule, Mirror } from './flow-rule.js';
import { CompiledRule, type FlowCounters } from './flow-table.js';
import { Forwarding, type ForwardingTables } from './forwarding.js';
import { type FrameHead, LINK_HEADER_BYTES } from './frame-head.js';
import { LearnedTable } from './learned-table.js';
import { GROUP, isZeroMac, macHigh, macLow, sameMac } from './mac-address.js';
import { MirrorTable } from './mirror-table.js';
import { FRAME_BYTES_MAX, PASSAGE_BYTES, Passage } from './passage.js';
import { type PortHome, SwitchPort } from './switch-port.js';
import { FRAME_KIND, type FrameKind, OPEN_GATE } from './transmit-gate.js';

/** How deep frames that come back while they are handed on may nest: a bridge that returns what it gets is one. */
const NESTED = 3;
/** Bytes of host memory that a switch works in. */
export const ESWITCH_AREA_BYTES: number = (NESTED + 1) * PASSAGE_BYTES;

const WIRE = 0;
const PHYSICAL = 1;
const FIRST_VIRTUAL = 2;
/** In place of a port: such frames have to be looked at one by one. */
const NOWHERE = -1;

/** A port, and what went through it. */
export interface CountingPort extends EswitchPort {
  readonly counters: EswitchPortCounters;
}

/**
 * The switch inside a network card: a wire, a physical function, virtual functions, and what each of them may do.
 *
 * Frames go from the sender's memory into each receiver's, copied once per receiver. A receiver without room loses its
 * copy, and holds nobody up. Only the gate, and a wire that is a frame's only receiver, make a sender wait (FULL).
 */
export class Eswitch implements PortHome {
  readonly wire: CountingPort;
  readonly physical: CountingPort;
  readonly virtual: readonly CountingPort[];
  /** Of the virtual functions, in switchdev mode; none otherwise. */
  readonly representors: readonly CountingPort[];
  /** All of them, by number. */
  readonly ports: readonly CountingPort[];
  private readonly plugs: readonly SwitchPort[];
  private readonly options: Required<EswitchOptions>;
  private readonly tables: ForwardingTables;
  private readonly forwarding: Forwarding;
  /** One for each depth, and the last one for what is only asked. */
  private readonly passages: readonly Passage[];
  private depth = 0;
  /** How often each rule matched, in the order of the rules. */
  rules: readonly FlowCounters[] = [];
  /** Goes on whenever anything is set: then no port knows any more where frames go. */
  private epoch = 0;
  private headBytes = LINK_HEADER_BYTES;
  private areTablesStale = true;
  /** Ports that frames went to since they were flushed. */
  private readonly unflushed: Uint16Array;
  private readonly isUnflushed: Uint8Array;
  private unflushedCount = 0;

  /** @throws VirtioError for options that cannot be */
  constructor(options: EswitchOptions) {
    const whole = checkOptions(options, ESWITCH_AREA_BYTES);
    this.options = whole;
    const representors = FIRST_VIRTUAL + whole.virtualFunctions;
    const count = representors + (whole.switchdev ? whole.virtualFunctions : 0);
    this.plugs = Array.from(
      { length: count },
      (_, number) => new SwitchPort(this, number, portKind(number, representors)),
    );
    this.ports = this.plugs;
    this.wire = this.plugs[WIRE]!;
    this.physical = this.plugs[PHYSICAL]!;
    this.virtual = this.plugs.slice(FIRST_VIRTUAL, representors);
    this.representors = this.plugs.slice(representors);
    const learned = whole.learning
      ? new LearnedTable(whole.macTableEntries, count, whole.learnedPerPort, whole.learnedFor)
      : undefined;
    const stations = new AddressTable();
    const groups = new AddressTable();
    this.tables = {
      ports: this.plugs,
      stations,
      groups,
      learned,
      options: whole,
      rules: [],
      mirrors: new MirrorTable([]),
    };
    this.forwarding = new Forwarding(this.tables);
    this.passages = Array.from(
      { length: NESTED + 1 },
      (_, index) => new Passage(whole.memory, whole.at + index * PASSAGE_BYTES, count),
    );
    this.unflushed = new Uint16Array(count);
    this.isUnflushed = new Uint8Array(count);
    this.followWire();
  }

  get isCarried(): boolean {
    return this.options.floating || this.plugs[WIRE]!.isUp;
  }

  get freeAddresses(): number {
    let used = 0;
    for (const port of this.plugs) used += port.addresses;
    return this.options.macTableEntries - used;
  }

  /** Addresses that were learnt of a port, and how often one was not, because there was no place for it. */
  learnedOf(port: number): { readonly known: number; readonly refused: number } {
    const { learned } = this.tables;
    return { known: learned?.countOf(port) ?? 0, refused: learned?.refused ?? 0 };
  }

  ownerOf(mac: Uint8Array, except: SwitchPort): SwitchPort | undefined {
    return this.plugs.find(
      (port) =>
        port !== except &&
        (sameMac(port.settings.mac, mac) || port.settings.unicast.some((address) => sameMac(address, mac))),
    );
  }

  changed(port: SwitchPort): void {
    this.areTablesStale = true;
    this.epoch++;
    if (port.device === undefined) this.tables.learned?.forget(port.number);
    if (port.number === WIRE) this.followWire();
    else port.refreshLink();
    this.tellGate(port);
  }

  /** A frame from the device at a port. */
  forward(frame: Frame, from: SwitchPort): Delivered {
    if (this.depth === NESTED) return lose(frame, from, ESWITCH_DROP.LOOP);
    if (frame.length < ETHERNET.SIZE || frame.length > FRAME_BYTES_MAX) return lose(frame, from, ESWITCH_DROP.LENGTH);
    const passage = this.passages[this.depth]!;
    if (passage.isPlain(frame)) {
      const delivered = this.forwardPlain(frame, from, passage);
      if (delivered >= 0) return delivered as Delivered;
    }
    if (!passage.enter(frame, this.headBytes)) return lose(frame, from, ESWITCH_DROP.BAD_OFFLOAD);
    if (this.areTablesStale) this.refreshTables();
    const { head, decision } = passage;
    this.forwarding.decide(from, head, passage.longest, decision);
    const { drop } = decision;
    if (drop === NO_DROP) {
      const admitted = this.admit(from, passage);
      if (admitted === DELIVERED.FULL) return admitted;
      if (admitted === DELIVERED.DROPPED) return lose(frame, from, ESWITCH_DROP.STORM);
    }
    // A receiver may set other ones.
    const { rules } = this.tables;
    if (decision.count > 0) {
      this.depth++;
      const delivered = this.hand(passage);
      this.depth--;
      if (delivered === DELIVERED.FULL) return delivered;
    }
    countRules(rules, passage);
    const { counters } = from;
    counters.copies += drop === NO_DROP ? decision.count - 1 : decision.count;
    if (drop !== NO_DROP) return lose(frame, from, drop);
    counters.inFrames++;
    counters.inBytes += frame.length;
    this.learn(from, head);
    return DELIVERED.ACCEPTED;
  }

  /** A frame whose header says all that there is to be decided. @returns DELIVERED, or NOWHERE */
  private forwardPlain(frame: Frame, from: SwitchPort, passage: Passage): number {
    passage.partOf(frame);
    const { part } = passage;
    const to = this.wayOf(part, from, passage);
    if (to === NOWHERE || frame.length > this.plugs[to]!.settings.longestFrame) return NOWHERE;
    if (isGated(from)) {
      const admitted = this.options.gate.admit(from.number, 1, frame.length, to === WIRE, from.knownKind);
      if (admitted === DELIVERED.FULL) return admitted;
      if (admitted === DELIVERED.DROPPED) return lose(frame, from, ESWITCH_DROP.STORM);
    }
    return this.handRun(passage, from, this.plugs[to]!) === 1 ? DELIVERED.ACCEPTED : DELIVERED.FULL;
  }

  /**
   * The first frames of a run, as far as each one's header says all that there is to be decided.
   * @returns how many were dealt with: each of them is with its receiver, or lost there
   */
  forwardRun(run: FrameRun, from: SwitchPort): number {
    if (this.depth === NESTED || run.memory !== this.options.memory) return 0;
    const passage = this.passages[this.depth]!;
    const { part } = passage;
    let done = 0;
    while (done < run.count) {
      takeAlike(run, done, FRAME_BYTES_MAX, part);
      if (part.count === 0) break;
      const to = this.wayOf(part, from, passage);
      if (to === NOWHERE) break;
      const port = this.plugs[to]!;
      if (!fits(part, port.settings.longestFrame)) break;
      const admitted = this.admitRun(from, part, to === WIRE);
      const { count } = part;
      const gone = count === 0 ? 0 : this.handRun(passage, from, port);
      done += gone;
      if (gone < count || admitted === DELIVERED.FULL) break;
      if (admitted === DELIVERED.DROPPED) {
        const range = run.first + done++;
        from.counters.inFrames++;
        from.counters.inBytes += run.ranges.length[range]! - run.skip;
        from.counters.drops[ESWITCH_DROP.STORM]!++;
      }
    }
    return done;
  }

  /**
   * Say what becomes of which frames, in order: all rules at once, with new counters.
   * @throws VirtioError for a rule that cannot be; then the rules are as before
   */
  setRules(rules: readonly FlowRule[]): void {
    checkRules(rules, this.plugs.length);
    this.epoch++;
    this.tables.rules = rules.map((rule, index) => new CompiledRule(rule, index, this.plugs.length));
    this.headBytes = this.tables.rules.some(({ looksInside }) => looksInside) ? HEADER_BYTES : LINK_HEADER_BYTES;
    this.rules = this.tables.rules.map(({ counters }) => counters);
  }

  /** Say which ports' frames others get as well: all mirrors at once. @throws VirtioError for one that cannot be */
  setMirrors(mirrors: readonly Mirror[]): void {
    checkMirrors(mirrors, this.plugs.length);
    this.epoch++;
    this.tables.mirrors = new MirrorTable(mirrors);
  }

  /**
   * What would become of a frame that came in at a port now, and why. Nothing is changed by asking.
   * @param bytes of a complete frame, from the destination address on
   * @throws VirtioError for a port that there is not
   */
  explain(port: number, bytes: Uint8Array): Explanation {
    const from = this.plugs[port];
    if (from === undefined)
      throw new VirtioError('port', port, `an integer from 0 to ${this.plugs.length - 1}`, 'Eswitch.explain');
    if (bytes.length < ETHERNET.SIZE || bytes.length > FRAME_BYTES_MAX)
      return { port, steps: [{ rule: 'ingress', outcome: 'LENGTH', port }], drop: 'LENGTH', ports: [] };
    if (this.areTablesStale) this.refreshTables();
    const passage = this.passages[NESTED]!;
    passage.enterBytes(bytes, this.headBytes);
    const notes: ExplanationStep[] = [];
    const note = (rule: string, outcome: string, at: number): void => void notes.push({ rule, outcome, port: at });
    this.forwarding.decide(from, passage.head, bytes.length, passage.decision, { note });
    return explained(port, notes, passage.decision);
  }

  /** The end of a burst from a port, for all that frames went to. Its own device's turn makes visible what that got. */
  flush(from: SwitchPort): void {
    const isOwn = this.isUnflushed[from.number] === 1;
    while (this.unflushedCount > 0) {
      const number = this.unflushed[--this.unflushedCount]!;
      this.isUnflushed[number] = 0;
      if (number !== from.number) this.plugs[number]!.device?.flush?.();
    }
    if (isOwn) this.noteUnflushed(from.number);
    if (isGated(from)) this.options.gate.endTurn(from.number);
  }

  deadlineOf(from: SwitchPort): number {
    return isGated(from) ? this.options.gate.deadline(from.number) : Number.POSITIVE_INFINITY;
  }

  /** Where frames with the header of a run go: one port, as they are, whatever is behind it; or NOWHERE in particular. */
  private wayOf(part: FrameRun, from: SwitchPort, passage: Passage): number {
    const { word0, word1, word2, type16 } = part;
    if (
      word0 === from.word0 &&
      word1 === from.word1 &&
      word2 === from.word2 &&
      type16 === from.type16 &&
      from.knownAt === this.epoch
    )
      return from.knownTo;
    from.word0 = word0;
    from.word1 = word1;
    from.word2 = word2;
    from.type16 = type16;
    from.knownTo = this.findWay(part, from, passage);
    from.knownAt = this.epoch;
    return from.knownTo;
  }

  private findWay(part: FrameRun, from: SwitchPort, passage: Passage): number {
    const { tables } = this;
    if (tables.rules.length > 0 || !tables.mirrors.isEmpty || from.settings.portVlan !== undefined) return NOWHERE;
    if (from.kind === 'representor') return NOWHERE;
    if (this.areTablesStale) this.refreshTables();
    const { head, decision } = passage;
    passage.enterOf(part, 0);
    if (head.etherType < 0 || head.tags > 0) return NOWHERE;
    // What is learnt comes and goes without notice.
    const { stations, learned } = tables;
    if (
      learned !== undefined &&
      (stations.find(head.fromLow, head.fromHigh) < 0 || stations.find(head.toLow, head.toHigh) < 0)
    )
      return NOWHERE;
    this.forwarding.decide(from, head, ETHERNET.SIZE, decision);
    from.knownKind = kindOf(head, decision);
    const isOne = decision.drop === NO_DROP && decision.count === 1 && decision.portDrop[0] === NO_DROP;
    return isOne && decision.form[0] === FORM.WHOLE ? decision.port[0]! : NOWHERE;
  }

  /** Hand a passage's part to one port: at once as far as that goes, and one by one. @returns how many went or were lost */
  private handRun(passage: Passage, from: SwitchPort, port: SwitchPort): number {
    const { part } = passage;
    const { count, first } = part;
    this.depth++;
    const accepted = port.device?.receiveRun?.(part) ?? 0;
    const bytes = accepted === count ? part.bytes : part.ranges.bytes(first, accepted) - accepted * part.skip;
    from.counters.inFrames += accepted;
    from.counters.inBytes += bytes;
    port.counters.outFrames += accepted;
    port.counters.outBytes += bytes;
    if (accepted > 0) this.noteUnflushed(port.number);
    let done = accepted;
    const { decision } = passage;
    for (; done < count; done++) {
      passage.enterOf(part, done);
      decision.clear();
      decision.add(port.number, FORM.WHOLE, NO_DROP);
      if (this.hand(passage) === DELIVERED.FULL) break;
      from.counters.inFrames++;
      from.counters.inBytes += passage.bytes;
    }
    this.depth--;
    return done;
  }

  /** What the gate says of a frame that has somebody to go to. */
  private admit(from: SwitchPort, { head, decision, frames, bytes }: Passage): Delivered {
    if (!isGated(from)) return DELIVERED.ACCEPTED;
    return this.options.gate.admit(from.number, frames, bytes, decision.has(WIRE), kindOf(head, decision));
  }

  /**
   * Ask the gate for each frame of a part, and cut it behind those that may go.
   * @returns what the gate says of the frame behind them; ACCEPTED when all may go
   */
  private admitRun(from: SwitchPort, part: FrameRun, toWire: boolean): Delivered {
    const { gate } = this.options;
    if (gate === OPEN_GATE || !isGated(from)) return DELIVERED.ACCEPTED;
    const { first, count, skip } = part;
    const { length } = part.ranges;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const frameBytes = length[first + i]! - skip;
      const admitted = gate.admit(from.number, 1, frameBytes, toWire, from.knownKind);
      if (admitted !== DELIVERED.ACCEPTED) {
        part.count = i;
        part.bytes = bytes;
        return admitted;
      }
      bytes += frameBytes;
    }
    return DELIVERED.ACCEPTED;
  }

  private tellGate(port: SwitchPort): void {
    if (!isGated(port)) return;
    const { gate } = this.options;
    const { maxTxRate, minTxRate } = port.settings;
    gate.setRates(port.number, maxTxRate, minTxRate);
    if (port.device === undefined) gate.forget(port.number);
  }

  /** Hand copies to all that get one. */
  private hand(passage: Passage): Delivered {
    const { decision } = passage;
    for (let at = 0; at < decision.count; at++) {
      const port = this.plugs[decision.port[at]!]!;
      const { counters } = port;
      const drop = decision.portDrop[at]!;
      if (drop !== NO_DROP || port.device === undefined) {
        counters.drops[drop === NO_DROP ? ESWITCH_DROP.NO_DEVICE : drop]!++;
        continue;
      }
      const form = decision.form[at]!;
      const delivered = passage.deliver(port.device, form);
      if (delivered === DELIVERED.ACCEPTED) {
        counters.outFrames++;
        counters.outBytes += passage.lengthIn(form);
        this.noteUnflushed(port.number);
      } else if (delivered === DELIVERED.DROPPED) counters.drops[ESWITCH_DROP.REFUSED]!++;
      else if (port.number === WIRE && decision.count === 1) return DELIVERED.FULL;
      else counters.drops[ESWITCH_DROP.NO_ROOM]!++;
    }
    return DELIVERED.ACCEPTED;
  }

  private noteUnflushed(number: number): void {
    if (this.isUnflushed[number] === 1) return;
    this.isUnflushed[number] = 1;
    this.unflushed[this.unflushedCount++] = number;
  }

  private learn(from: SwitchPort, { fromLow, fromHigh, vlan }: FrameHead): void {
    const { learned, stations, options } = this.tables;
    if (learned === undefined || from.number === WIRE || stations.find(fromLow, fromHigh) >= 0) return;
    learned.learn(fromLow, fromHigh | (vlan << 16), from.number, options.now());
  }

  private followWire(): void {
    for (const port of this.plugs) port.refreshLink();
  }

  private refreshTables(): void {
    const { stations, groups } = this.tables;
    this.areTablesStale = false;
    const { macTableEntries } = this.options;
    stations.reset(macTableEntries);
    groups.reset(macTableEntries);
    // The last one that is added is found first.
    for (const { number, settings } of this.plugs.toReversed()) {
      const { mac, unicast, multicast } = settings;
      if (!isZeroMac(mac)) stations.add(macLow(mac), macHigh(mac), number);
      for (const address of unicast) stations.add(macLow(address), macHigh(address), number);
      for (const group of multicast) groups.add(macLow(group), macHigh(group), number);
    }
  }
}

function countRules(rules: readonly CompiledRule[], { decision, head }: Passage): void {
  for (let at = 0; at < decision.ruleCount; at++) {
    const { counters } = rules[decision.rules[at]!]!;
    counters.frames++;
    counters.bytes += head.length;
  }
}

/** Whether a receiver takes frames as long as those of a run. */
function fits({ ranges, first, count, skip, bytes }: FrameRun, longest: number): boolean {
  if (bytes <= longest) return true;
  const { length } = ranges;
  for (let at = first; at < first + count; at++) if (length[at]! - skip > longest) return false;
  return true;
}

/** Whether what a port sends passes the gate. */
function isGated({ kind }: SwitchPort): boolean {
  return kind === 'physical' || kind === 'virtual';
}

function kindOf({ toLow, toHigh }: FrameHead, { isUnknown }: Decision): FrameKind {
  if ((toLow & GROUP) === 0) return isUnknown ? FRAME_KIND.UNKNOWN : FRAME_KIND.UNICAST;
  return toLow === -1 && toHigh === 0xffff ? FRAME_KIND.BROADCAST : FRAME_KIND.MULTICAST;
}

/** A frame that goes nowhere. */
function lose(frame: Frame, { counters }: SwitchPort, reason: number): Delivered {
  counters.inFrames++;
  counters.inBytes += frame.length;
  counters.drops[reason]!++;
  return DELIVERED.DROPPED;
}

function portKind(number: number, representors: number): PortKind {
  if (number === WIRE) return 'wire';
  if (number === PHYSICAL) return 'physical';
  return number < representors ? 'virtual' : 'representor';
}
