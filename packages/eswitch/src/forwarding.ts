import { ETHERTYPE } from '@ringwire/net-offload';
import type { AddressTable } from './address-table.js';
import { DELIVERED_NOTE, type Decision, type DecisionTrace, FORM } from './decision.js';
import { dropName, ESWITCH_DROP, NO_DROP } from './drop-reason.js';
import type { EswitchOptions } from './eswitch-options.js';
import type { FlowAction } from './flow-rule.js';
import type { ForwardingTables } from './forwarding-tables.js';
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
// What rules come to when none says a port.
const UNRULED = -1;
const ALLOWED = -2;
const DROPPED = -3;

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
    const { mirrors } = this.tables;
    if (from.kind === 'representor')
      this.offer(from.number - this.tables.options.virtualFunctions, from, head, 'represented function');
    else {
      const length = head.length;
      const ruled = this.askRules(from, head);
      this.longest += head.length - length;
      this.applyRuling(ruled, from, head);
    }
    if (decision.count === 0 && decision.drop === NO_DROP) decision.drop = ESWITCH_DROP.NO_RECEIVER;
    if (!mirrors.isEmpty) this.mirror(from);
    for (let at = 0; at < decision.mirrorCount; at++) this.copyTo(decision.mirrors[at]!, from, 'mirrored by a rule');
  }

  /**
   * Ask the flow rules, in order, until one says where the frame goes. Copies that rules ask for are noted.
   * @returns a port, or what is below
   */
  private askRules(from: SwitchPort, head: FrameHead): number {
    const { rules } = this.tables;
    const decision = this.decision!;
    for (let index = 0; index < rules.length; index++) {
      const rule = rules[index]!;
      if (!rule.matches(from.number, head)) {
        this.trace?.note(rule.name, 'does not match', from.number);
        continue;
      }
      decision.rules[decision.ruleCount++] = index;
      const { action } = rule;
      if (this.trace !== undefined) this.trace.note(rule.name, actionText(action), from.number);
      if (action.kind === 'allow') return ALLOWED;
      if (action.kind === 'drop') return DROPPED;
      if (action.kind === 'redirect') return action.port;
      if (action.kind === 'setVlan') head.setTag(ETHERTYPE.VLAN, action.id, action.priority, head.tags > 0);
      else if (action.kind === 'mirror') decision.mirrors[decision.mirrorCount++] = action.port;
    }
    return UNRULED;
  }

  private applyRuling(ruled: number, from: SwitchPort, head: FrameHead): void {
    const { options } = this.tables;
    const decision = this.decision!;
    if (ruled === DROPPED) decision.drop = ESWITCH_DROP.RULE;
    else if (ruled >= 0) this.redirect(ruled, from, head);
    else if (ruled === ALLOWED || !options.switchdev) this.route(from, head);
    else this.routeSlowly(from, head);
  }

  /** A rule says where: VLANs are the rule's affair then. */
  private redirect(number: number, from: SwitchPort, head: FrameHead): void {
    const decision = this.decision!;
    if (number === from.number) {
      decision.drop = ESWITCH_DROP.RULE;
      return;
    }
    const form = formFor(this.tables.ports[number]!, head);
    this.add(number, form === NOT_MEMBER ? FORM.WHOLE : form, 'redirected');
  }

  /** In switchdev mode software decides about what no rule knows. */
  private routeSlowly(from: SwitchPort, head: FrameHead): void {
    const { number, kind } = from;
    const { virtualFunctions } = this.tables.options;
    if (kind === 'virtual') this.offer(number + virtualFunctions, from, head, 'no rule: to the representor');
    else this.offer(number === WIRE ? PHYSICAL : WIRE, from, head, 'no rule: between wire and host');
  }

  /** Copies of what came in, and of what goes out. Copies of copies there are none, so that it never goes round. */
  private mirror(from: SwitchPort): void {
    const { mirrors } = this.tables;
    const decision = this.decision!;
    const { count } = decision;
    for (const to of mirrors.ofIn(from.number)) this.copyTo(to, from, 'mirror');
    for (let at = 0; at < count; at++) {
      if (decision.portDrop[at] !== NO_DROP) continue;
      for (const to of mirrors.ofOut(decision.port[at]!)) this.copyTo(to, from, 'mirror');
    }
  }

  private copyTo(number: number, from: SwitchPort, rule: string): void {
    if (number !== from.number && !this.decision!.has(number)) this.add(number, FORM.WHOLE, rule);
  }

  private route(from: SwitchPort, head: FrameHead): void {
    if (isReserved(head)) this.offer(from.number === WIRE ? PHYSICAL : WIRE, from, head, 'reserved address');
    else if (this.tables.isVepa && from.number !== WIRE) this.offer(WIRE, from, head, 'VEPA');
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
      if (this.offer(number, from, head, 'address') || number === from.number) isKnown = true;
    }
    if (!isKnown && learned !== undefined) {
      const number = learned.find(low, high | (head.vlan << 16), options.now());
      isKnown = number !== NONE && (this.offer(number, from, head, 'learnt address') || number === from.number);
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
    if (number === from.number && !from.settings.hairpin) return false;
    const { ports, stations, learned, options } = this.tables;
    const port = ports[number]!;
    const form = formFor(port, head);
    if (form === NOT_MEMBER) {
      this.trace?.note(rule, 'not in the VLAN', number);
      return false;
    }
    if (this.tables.isVepa && from.number === WIRE && sends(port, head, stations, learned, options)) {
      this.trace?.note(rule, 'its own frame, which came back', number);
      return false;
    }
    this.add(number, form, rule);
    return true;
  }

  private add(number: number, form: number, rule: string): void {
    const drop = this.dropAt(this.tables.ports[number]!, form);
    this.trace?.note(rule, drop === NO_DROP ? DELIVERED_NOTE : dropName(drop), number);
    this.decision!.add(number, form, drop);
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

function actionText(action: FlowAction): string {
  if (action.kind === 'redirect' || action.kind === 'mirror') return `${action.kind} to port ${action.port}`;
  return action.kind === 'setVlan' ? `VLAN ${action.id}, priority ${action.priority}` : action.kind;
}
