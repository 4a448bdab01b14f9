import type { AddressTable } from './address-table.js';
import { type Decision, type DecisionTrace, FORM } from './decision.js';
import { dropName, ESWITCH_DROP, NO_DROP } from './drop-reason.js';
import type { EswitchOptions } from './eswitch-options.js';
import type { FrameHead } from './frame-head.js';
import { checkIngress, isReserved } from './ingress-policy.js';
import type { LearnedTable } from './learned-table.js';
import { GROUP } from './mac-address.js';
import { hasBit } from './port-filters.js';
import type { SwitchPort } from './switch-port.js';

const WIRE = 0;
const PHYSICAL = 1;
const NONE = -1;
const NOT_MEMBER = -1;

/** What frames are sent by. */
export interface ForwardingTables {
  readonly ports: readonly SwitchPort[];
  /** Station addresses and groups that settings list. */
  readonly stations: AddressTable;
  readonly groups: AddressTable;
  readonly learned: LearnedTable | undefined;
  readonly options: Required<EswitchOptions>;
}

/**
 * Decides who gets a frame. Nothing is changed by it but the frame's head, so that it can be asked what would happen.
 */
export class Forwarding {
  private readonly tables: ForwardingTables;
  private trace: DecisionTrace | undefined = undefined;
  private decision: Decision | undefined = undefined;
  /** Longest of the frames that the one in hand becomes, as its sender made it. */
  private longest = 0;

  constructor(tables: ForwardingTables) {
    this.tables = tables;
  }

  /**
   * @param head of the frame, which gets its port VLAN's tag
   * @param longest bytes of the longest frame that it becomes: its own, or a segment's
   */
  decide(from: SwitchPort, head: FrameHead, longest: number, decision: Decision, trace?: DecisionTrace): void {
    this.trace = trace;
    this.decision = decision;
    decision.clear();
    const before = head.length;
    decision.drop = checkIngress(from, head, trace);
    this.longest = longest + head.length - before;
    trace?.note('ingress', decision.drop === NO_DROP ? 'passes' : dropName(decision.drop), from.number);
    if (decision.drop !== NO_DROP) return;
    this.route(from, head);
    if (decision.count === 0) decision.drop = ESWITCH_DROP.NO_RECEIVER;
  }

  private route(from: SwitchPort, head: FrameHead): void {
    const { options } = this.tables;
    if (isReserved(head)) this.offer(from.number === WIRE ? PHYSICAL : WIRE, from, head, 'reserved address');
    else if (options.mode === 'vepa' && from.number !== WIRE) this.offer(WIRE, from, head, 'VEPA');
    else if ((head.toLow & GROUP) !== 0) this.routeGroup(from, head);
    else if (!this.routeKnown(from, head)) this.routeUnknown(from, head);
  }

  private routeGroup(from: SwitchPort, head: FrameHead): void {
    const { ports, groups } = this.tables;
    const { toLow: low, toHigh: high } = head;
    if (low === -1 && high === 0xffff) {
      for (const port of ports)
        if (port.number === WIRE || port.settings.broadcast) this.offerGroup(port, from, head, 'broadcast');
      return;
    }
    for (const port of ports) {
      const { settings, filters, number } = port;
      if (number === WIRE) this.offerGroup(port, from, head, 'group, to the wire');
      else if (settings.allMulticast) this.offerGroup(port, from, head, 'all groups');
      else if (settings.promiscuous) this.offerGroup(port, from, head, 'promiscuous');
      else if (filters.hashes(high)) this.offerGroup(port, from, head, 'hash of the group');
    }
    const decision = this.decision!;
    for (let link = groups.find(low, high); link !== NONE; link = groups.after(link)) {
      const port = ports[groups.portOf(link)]!;
      if (!decision.has(port.number)) this.offerGroup(port, from, head, 'group');
    }
  }

  /** @returns whether somebody has the address, in this frame's VLAN */
  private routeKnown(from: SwitchPort, head: FrameHead): boolean {
    const { ports, stations, learned, options } = this.tables;
    const { toLow: low, toHigh: high } = head;
    let isKnown = false;
    for (let link = stations.find(low, high); link !== NONE; link = stations.after(link)) {
      const number = stations.portOf(link);
      if (number === from.number || this.offer(number, from, head, 'address')) isKnown = true;
    }
    if (!isKnown && learned !== undefined) {
      const number = learned.find(low, high | (head.vlan << 16), options.now());
      isKnown = number !== NONE && (number === from.number || this.offer(number, from, head, 'learnt address'));
    }
    if (isKnown && options.promiscuous === 'everything')
      for (const port of ports) this.offerPromiscuous(port, from, head);
    return isKnown;
  }

  private routeUnknown(from: SwitchPort, head: FrameHead): void {
    const { ports, options } = this.tables;
    this.decision!.isUnknown = true;
    if (from.number !== WIRE) this.offer(WIRE, from, head, 'unknown address, to the wire');
    if (options.defaultPort !== NONE && !this.decision!.has(options.defaultPort))
      this.offer(options.defaultPort, from, head, 'unknown address, to the default port');
    for (const port of ports) this.offerPromiscuous(port, from, head);
  }

  private offerPromiscuous(port: SwitchPort, from: SwitchPort, head: FrameHead): void {
    if (port.number === WIRE || !port.settings.promiscuous || this.decision!.has(port.number)) return;
    this.offer(port.number, from, head, 'promiscuous');
  }

  /** Groups' frames are for whoever is there. */
  private offerGroup(port: SwitchPort, from: SwitchPort, head: FrameHead, rule: string): void {
    if (port.device !== undefined) this.offer(port.number, from, head, rule);
  }

  /** A port is to get the frame, if it is in its VLAN. @returns whether it is */
  private offer(number: number, from: SwitchPort, head: FrameHead, rule: string): boolean {
    if (number === from.number) return false;
    const { ports, stations, learned, options } = this.tables;
    const port = ports[number]!;
    const form = formFor(port, head);
    if (form === NOT_MEMBER) {
      this.trace?.note(rule, 'not in the VLAN', number);
      return false;
    }
    if (options.mode === 'vepa' && from.number === WIRE && sends(port, head, stations, learned, options)) {
      this.trace?.note(rule, 'its own frame, which came back', number);
      return false;
    }
    const drop = this.dropAt(port, form);
    this.trace?.note(rule, drop === NO_DROP ? 'delivered' : dropName(drop), number);
    this.decision!.add(number, form, drop);
    return true;
  }

  /** Why a port that a frame is for does not get it. */
  private dropAt(port: SwitchPort, form: number): number {
    if (port.device === undefined) return ESWITCH_DROP.NO_DEVICE;
    if (!port.isUp) return ESWITCH_DROP.RECEIVER_DOWN;
    const bytes = form === FORM.WHOLE ? this.longest : this.longest - TAG_BYTES;
    return bytes > port.settings.longestFrame ? ESWITCH_DROP.TOO_LONG : NO_DROP;
  }
}

const TAG_BYTES = 4;

/** @returns how a port gets a frame, or NOT_MEMBER when it is not in its VLAN */
function formFor({ settings, filters }: SwitchPort, head: FrameHead): number {
  const { portVlan, untagged } = settings;
  const { vlan } = head;
  if (portVlan !== undefined) {
    const isIts = head.tags > 0 && head.tagProtocol === portVlan.protocol && vlan === portVlan.id;
    return isIts ? FORM.WITHOUT_TAG : NOT_MEMBER;
  }
  const isMember = vlan === 0 ? untagged : hasBit(filters.member, vlan);
  return isMember ? FORM.WHOLE : NOT_MEMBER;
}

/** Whether a frame that came in by the wire is one that a port sent. */
function sends(
  port: SwitchPort,
  head: FrameHead,
  stations: AddressTable,
  learned: LearnedTable | undefined,
  options: Required<EswitchOptions>,
): boolean {
  const { fromLow: low, fromHigh: high } = head;
  for (let link = stations.find(low, high); link !== NONE; link = stations.after(link))
    if (stations.portOf(link) === port.number) return true;
  return learned?.find(low, high | (head.vlan << 16), options.now()) === port.number;
}
