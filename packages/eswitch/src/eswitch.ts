import { DELIVERED, type Delivered, type Frame } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';
import { AddressTable } from './address-table.js';
import type { Decision } from './decision.js';
import { ESWITCH_DROP, type EswitchPortCounters, NO_DROP } from './drop-reason.js';
import { checkOptions, type EswitchOptions } from './eswitch-options.js';
import type { EswitchPort } from './eswitch-port.js';
import { Forwarding, type ForwardingTables } from './forwarding.js';
import { type FrameHead, LINK_HEADER_BYTES } from './frame-head.js';
import { LearnedTable } from './learned-table.js';
import { GROUP, isZeroMac, macHigh, macLow, sameMac } from './mac-address.js';
import { FRAME_BYTES_MAX, PASSAGE_BYTES, Passage } from './passage.js';
import { type PortHome, SwitchPort } from './switch-port.js';
import { FRAME_KIND, type FrameKind } from './transmit-gate.js';

/** How deep frames that come back while they are handed on may nest: a bridge that returns what it gets is one. */
const NESTED = 3;
/** Bytes of host memory that a switch works in. */
export const ESWITCH_AREA_BYTES: number = NESTED * PASSAGE_BYTES;

const WIRE = 0;
const PHYSICAL = 1;
const FIRST_VIRTUAL = 2;

/**
 * The switch inside a network card: a wire, a physical function, virtual functions, and what each of them may do.
 *
 * Frames go from the sender's memory into each receiver's, copied once per receiver. A receiver without room loses its
 * copy, and holds nobody up. Only the gate, and a wire that is a frame's only receiver, make a sender wait (FULL).
 */
export class Eswitch implements PortHome {
  readonly wire: EswitchPort & { readonly counters: EswitchPortCounters };
  readonly physical: EswitchPort & { readonly counters: EswitchPortCounters };
  readonly virtual: readonly (EswitchPort & { readonly counters: EswitchPortCounters })[];
  /** All of them, by number. */
  readonly ports: readonly (EswitchPort & { readonly counters: EswitchPortCounters })[];
  private readonly plugs: readonly SwitchPort[];
  private readonly options: Required<EswitchOptions>;
  private readonly tables: ForwardingTables;
  private readonly forwarding: Forwarding;
  private readonly passages: readonly Passage[];
  private depth = 0;
  private areTablesStale = true;
  /** Ports that frames went to since they were flushed. */
  private readonly unflushed: Uint16Array;
  private readonly isUnflushed: Uint8Array;
  private unflushedCount = 0;

  /** @throws VirtioError for options that cannot be */
  constructor(options: EswitchOptions) {
    const whole = checkOptions(options, ESWITCH_AREA_BYTES);
    this.options = whole;
    const count = FIRST_VIRTUAL + whole.virtualFunctions;
    this.plugs = Array.from({ length: count }, (_, number) => {
      const kind = number === WIRE ? 'wire' : number === PHYSICAL ? 'physical' : 'virtual';
      return new SwitchPort(this, number, kind);
    });
    this.ports = this.plugs;
    this.wire = this.plugs[WIRE]!;
    this.physical = this.plugs[PHYSICAL]!;
    this.virtual = this.plugs.slice(FIRST_VIRTUAL);
    const learned = whole.learning
      ? new LearnedTable(whole.macTableEntries, count, whole.learnedPerPort, whole.learnedFor)
      : undefined;
    const stations = new AddressTable();
    this.tables = { ports: this.plugs, stations, groups: new AddressTable(), learned, options: whole };
    this.forwarding = new Forwarding(this.tables);
    this.passages = Array.from(
      { length: NESTED },
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
    if (!passage.enter(frame, LINK_HEADER_BYTES)) return lose(frame, from, ESWITCH_DROP.BAD_OFFLOAD);
    if (this.areTablesStale) this.refreshTables();
    const { head, decision } = passage;
    this.forwarding.decide(from, head, passage.longest, decision);
    if (decision.drop !== NO_DROP) return lose(frame, from, decision.drop);
    const admitted = this.admit(from, passage);
    if (admitted === DELIVERED.FULL) return admitted;
    if (admitted === DELIVERED.DROPPED) return lose(frame, from, ESWITCH_DROP.STORM);
    this.depth++;
    const delivered = this.hand(passage);
    this.depth--;
    if (delivered === DELIVERED.FULL) return delivered;
    const { counters } = from;
    counters.inFrames++;
    counters.inBytes += frame.length;
    counters.copies += decision.count - 1;
    this.learn(from, head);
    return delivered;
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

  /** What the gate says of a frame that has somebody to go to. */
  private admit(from: SwitchPort, { head, decision, frames, bytes }: Passage): Delivered {
    if (!isGated(from)) return DELIVERED.ACCEPTED;
    return this.options.gate.admit(from.number, frames, bytes, decision.has(WIRE), kindOf(head, decision));
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
    for (const { number, settings } of this.plugs) {
      const { mac, unicast, multicast } = settings;
      if (!isZeroMac(mac)) stations.add(macLow(mac), macHigh(mac), number);
      for (const address of unicast) stations.add(macLow(address), macHigh(address), number);
      for (const group of multicast) groups.add(macLow(group), macHigh(group), number);
    }
  }
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
