import { DELIVERED, type Delivered } from '@ringwire/net-backend';
import { VirtioError } from '@ringwire/virtio-spec';
import { GO } from './contender.js';
import { type GateCounters, GatePort } from './gate-port.js';
import { microsecondsOf, nanosecondsOf } from './nanoseconds.js';
import { PLAIN_RATES, RateNode, type RateNodeSettings } from './rate-node.js';
import { StormControl, type StormLimits } from './storm-limits.js';
import type { FrameKind, TransmitGate } from './transmit-gate.js';
import { TransmitLine } from './transmit-line.js';
import { wireBytes } from './wire/wire-bytes.js';
import type { WireRoom } from './wire/wire-room.js';

const HERE = 'TransmitArbiter';
/** What a wire carries, and what shares are parts of where nothing limits, in Mbit/s. */
const PLAIN_LINE_RATE = 10_000;
/** devlink's trees are not deeper either. */
const MOST_LEVELS = 8;

/** What a {@link TransmitArbiter} shares out. */
export interface ArbiterOptions {
  /** The switch's clock, in µs; fractions count, down to ns. */
  readonly now: () => number;
  /** The port that the card's cable is plugged into, a `WirePort`, which says when it has room. Without it: `lineRate`. */
  readonly wire?: WireRoom;
  /** Mbit/s, of a wire that nothing else tells of; 10000 unless given, 0: it carries whatever comes, at once. */
  readonly lineRate?: number;
  /** Bytes on that wire that wait to be sent; 16384 unless given. */
  readonly wireBuffer?: number;
  /**
   * What the card reads from its host, in Mbit/s, whether that leaves by the wire or not; 0, unless given: no limit. PCI
   * Express 2.0 x8 is 32000. Frames count as on a wire.
   */
  readonly hostRate?: number;
}

/** What is set for a port or a group, and the group that it is in; undefined: the card itself. */
export interface RateNodeView {
  readonly settings: RateNodeSettings;
  readonly parent: string | undefined;
}

/**
 * Shares a card's wire, and its way to the host, among ports: token buckets for what each may send, groups of ports with
 * limits of their own, and deficit round robin, by bytes on the wire, between those that wait.
 *
 * A frame's bytes are those on the wire, preamble, check sequence and gap counted: a port with 1000 Mbit/s sends what fits
 * through a link of that speed.
 */
export class TransmitArbiter implements TransmitGate {
  private readonly now: () => number;
  private readonly root: RateNode;
  private readonly wire: WireRoom | undefined;
  private readonly line: TransmitLine | undefined;
  private readonly host: TransmitLine | undefined;
  private readonly lineRate: number;
  private readonly ports: GatePort[] = [];
  private readonly nodes: Map<string, RateNode> = new Map();
  private question = 0;

  /** @throws VirtioError for what is no rate */
  constructor(options: ArbiterOptions) {
    const { lineRate = PLAIN_LINE_RATE, hostRate = 0 } = options;
    this.now = options.now;
    const now = this.time();
    this.root = new RateNode(now);
    this.lineRate = lineRate;
    this.wire = options.wire;
    this.line = this.wire === undefined ? new TransmitLine(options.wireBuffer) : undefined;
    this.line?.setRate(lineRate, now);
    this.host = hostRate === 0 ? undefined : new TransmitLine();
    this.host?.setRate(hostRate, now);
    this.root.wire.limit = this.wire ?? this.line!;
    if (this.host !== undefined) this.root.limits.limit = this.host;
    if (this.wire !== undefined) this.wire.onChange = () => this.weighAnew();
  }

  admit(port: number, frames: number, bytes: number, toWire: boolean, kind: FrameKind): Delivered {
    const now = this.time();
    const one = this.portAt(port);
    const { storm, counters } = one;
    one.begin(++this.question, now);
    const cost = wireBytes(frames, bytes);
    const isDropped = storm !== undefined && !storm.allows(kind, frames, now);
    // What is dropped was read from the host before.
    const again = this.ask(one, cost, toWire && !isDropped, now);
    if (again !== GO) {
      counters.turnedAway++;
      one.askAt = Math.min(one.askAt, again);
      return DELIVERED.FULL;
    }
    if (isDropped) {
      counters.stormDrops += frames;
      return DELIVERED.DROPPED;
    }
    storm?.take(kind, frames);
    counters.frames += frames;
    counters.wireBytes += cost;
    return DELIVERED.ACCEPTED;
  }

  endTurn(port: number): void {
    this.ports[port]?.endTurn();
  }

  deadline(port: number): number {
    return microsecondsOf(this.ports[port]?.askAt ?? Number.POSITIVE_INFINITY);
  }

  setRates(port: number, maxTxRate: number, minTxRate: number): void {
    this.change(this.portAt(port).node, { maxRate: maxTxRate, share: minTxRate });
  }

  forget(port: number): void {
    this.ports[port]?.withdraw();
  }

  /**
   * More of a port than its rates, which a switch sets anew when anything is set for the port.
   * @throws VirtioError for what cannot be
   */
  setPort(port: number, changes: Partial<RateNodeSettings>): void {
    this.change(this.portAt(port).node, changes);
  }

  /** @throws VirtioError for what is no rate */
  setStorm(port: number, limits: StormLimits): void {
    this.portAt(port).storm = new StormControl(limits, this.time());
  }

  /**
   * A group that ports, or other groups, are put into.
   * @param parent name of the group that it is in; the card itself when left out
   * @throws VirtioError for a name that there is, a parent that there is not, and for what cannot be set
   */
  addNode(name: string, settings: Partial<RateNodeSettings> = {}, parent?: string): void {
    if (this.nodes.has(name)) throw new VirtioError('name', name, 'a name that no group has', HERE);
    const above = this.groupAt(parent);
    checkDepth(above, 1);
    const node = new RateNode(this.time());
    node.set({ ...PLAIN_RATES, ...settings }, this.time());
    node.moveTo(above);
    this.nodes.set(name, node);
    this.weigh();
  }

  /** @throws VirtioError for a name that there is not, and for what cannot be set */
  setNode(name: string, changes: Partial<RateNodeSettings>): void {
    this.change(this.groupAt(name), changes);
  }

  /** @throws VirtioError for a name that there is not, and while something is in it */
  removeNode(name: string): void {
    const node = this.groupAt(name);
    if (node.children.size > 0) throw new VirtioError('name', name, 'a group with nothing in it', HERE);
    node.moveTo(undefined);
    this.nodes.delete(name);
    this.weigh();
  }

  /**
   * Put a port, by number, or a group, by name, into a group.
   * @param parent the card itself when left out
   * @throws VirtioError for what there is not, and for a group that would be in itself
   */
  setParent(child: number | string, parent?: string): void {
    const node = typeof child === 'number' ? this.portAt(child).node : this.groupAt(child);
    const above = this.groupAt(parent);
    for (let one: RateNode | undefined = above; one !== undefined; one = one.parent)
      if (one === node) throw new VirtioError('parent', parent!, `a group that is not in ${child}`, HERE);
    checkDepth(above, heightOf(node));
    if (typeof child === 'number') this.portAt(child).withdraw();
    node.moveTo(above);
    this.weigh();
  }

  /** What is set for a port, by number, or a group, by name. @throws VirtioError for a group that there is not */
  nodeOf(which: number | string): RateNodeView {
    const node = typeof which === 'number' ? this.portAt(which).node : this.groupAt(which);
    return { settings: node.settings, parent: this.nameOf(node.parent) };
  }

  /** Names of all groups, in the order that they were added. */
  get groups(): string[] {
    return [...this.nodes.keys()];
  }

  /** What a port sent, live. */
  countersOf(port: number): Readonly<GateCounters> {
    return this.portAt(port).counters;
  }

  private nameOf(node: RateNode | undefined): string | undefined {
    for (const [name, other] of this.nodes) if (other === node) return name;
    return undefined;
  }

  private ask(one: GatePort, cost: number, toWire: boolean, now: number): number {
    const { limits, wire } = one.node;
    const { question } = this;
    let again = limits.ask(cost, now, question, one);
    if (again !== GO) {
      // Its place at the wire is kept while all wait for the host, which is not long.
      if (toWire && limits.waitsForAll) wire.delay(again, question);
      else wire.withdraw();
      return again;
    }
    if (toWire) {
      again = wire.ask(cost, now, question, one);
      if (again !== GO) {
        limits.withdraw();
        return again;
      }
      wire.take(cost, now, question);
    }
    limits.take(cost, now, question);
    return GO;
  }

  private time(): number {
    return nanosecondsOf(this.now());
  }

  private portAt(port: number): GatePort {
    return this.ports[port] ?? this.addPort(port);
  }

  private addPort(port: number): GatePort {
    const one = new GatePort(this.time());
    this.ports[port] = one;
    one.node.moveTo(this.root);
    this.weigh();
    return one;
  }

  private change(node: RateNode, changes: Partial<RateNodeSettings>): void {
    node.set(changes, this.time());
    this.weighAnew();
  }

  private weighAnew(): void {
    const now = this.time();
    this.weigh();
    // What those that wait were told may be too late now: each may ask again.
    for (const port of this.ports) port?.askBy(now);
  }

  /** @param name the card itself when left out */
  private groupAt(name: string | undefined): RateNode {
    const node = name === undefined ? this.root : this.nodes.get(name);
    if (node === undefined) throw new VirtioError('name', name!, 'a group that there is', HERE);
    return node;
  }

  private weigh(): void {
    const isWireScarce = this.wire !== undefined || this.lineRate > 0;
    const weigh = (node: RateNode, rate: number): void => {
      const limit = node.settings.maxRate;
      const own = limit > 0 ? Math.min(limit, rate) : rate;
      node.limits.isScarce = limit > 0 || (node.parent?.limits.isScarce ?? this.host !== undefined);
      node.wire.isScarce = isWireScarce;
      node.weighChildren(own);
      for (const child of node.children) if (child.children.size > 0) weigh(child, own);
    };
    weigh(this.root, (this.wire?.rate ?? this.lineRate) || PLAIN_LINE_RATE);
  }
}

function heightOf(node: RateNode): number {
  let height = 0;
  for (const child of node.children) height = Math.max(height, heightOf(child));
  return height + 1;
}

function checkDepth(above: RateNode, levels: number): void {
  let depth = levels;
  for (let one: RateNode | undefined = above; one !== undefined; one = one.parent) depth++;
  if (depth > MOST_LEVELS) throw new VirtioError('parent', depth, `at most ${MOST_LEVELS} levels`, HERE);
}
