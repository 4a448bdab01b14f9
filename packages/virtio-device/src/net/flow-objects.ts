import { ETHERNET, ETHERTYPE, IPPROTO, IPV4, IPV6 } from '@ringwire/net-offload';
import {
  VIRTIO_NET_FF_ACTION,
  VIRTIO_NET_FF_GROUP,
  VIRTIO_NET_FF_LIST,
  VIRTIO_NET_FF_MASK_F,
  VIRTIO_NET_FF_MASK_TYPE,
  VIRTIO_NET_FF_RULE,
  VIRTIO_NET_RESOURCE_OBJ,
  VIRTIO_RESOURCE_OBJ,
} from '@ringwire/virtio-spec/admin';
import { type AdminCommand, type AdminOutcome, INVALID_FIELD } from '../admin/admin-command.js';
import { OBJECT_DATA, type ObjectType } from '../admin/resource-objects.js';
import type { SelfGroupParts } from '../admin/self-group.js';
import { FlowActions, FlowResources, FlowSelectors } from './flow-capabilities.js';
import { FLOW, type FlowFilter, type FlowRule } from './flow-filter.js';
import {
  ALL_SELECTORS,
  encodeSelectors,
  type FlowSelector,
  masksWholeFields,
  readSelectors,
} from './flow-selectors.js';
import type { NetState } from './net-state.js';

const T = VIRTIO_NET_FF_MASK_TYPE;
const RULE = VIRTIO_NET_FF_RULE;
const { PARTIAL_MASK } = VIRTIO_NET_FF_MASK_F;
const NO_OBJECTS: ReadonlyMap<number, Uint8Array> = new Map();

/** What an IP header's field for its successor has to say for a selector behind it. */
const PROTOCOL: Readonly<Record<number, number>> = { [T.TCP]: IPPROTO.TCP, [T.UDP]: IPPROTO.UDP, [T.ESP]: IPPROTO.ESP };
const NETWORK: Readonly<Record<number, { etherType: number; protocolAt: number }>> = {
  [T.IPV4]: { etherType: ETHERTYPE.IPV4, protocolAt: IPV4.protocol },
  [T.IPV6]: { etherType: ETHERTYPE.IPV6, protocolAt: IPV6.next_header },
};

/**
 * Flow filters as a driver makes them: three capabilities, and objects for groups, classifiers and rules. With each change
 * the rules are put anew into the filter that frames go through. @see virtio 1.4 §5.1.9.6
 */
export class FlowObjects implements SelfGroupParts {
  readonly capabilities: readonly (FlowResources | FlowSelectors | FlowActions)[];
  readonly objectTypes: readonly ObjectType[];
  private readonly resources: FlowResources = new FlowResources();
  private readonly selectors: FlowSelectors = new FlowSelectors();
  private readonly actions: FlowActions = new FlowActions();
  private readonly state: NetState;
  private readonly filter: FlowFilter;
  private groups: ReadonlyMap<number, Uint8Array> = NO_OBJECTS;
  private classifiers: ReadonlyMap<number, Uint8Array> = NO_OBJECTS;
  private rules: ReadonlyMap<number, Uint8Array> = NO_OBJECTS;

  constructor(state: NetState, filter: FlowFilter) {
    this.state = state;
    this.filter = filter;
    this.capabilities = [this.resources, this.selectors, this.actions];
    this.objectTypes = [this.groupType(), this.classifierType(), this.ruleType()];
  }

  private isEnabled(): boolean {
    return this.resources.isSet && this.selectors.selectors.length > 0 && this.actions.actions.length > 0;
  }

  private groupType(): ObjectType {
    return {
      type: VIRTIO_NET_RESOURCE_OBJ.FF_GROUP,
      isEnabled: () => this.isEnabled(),
      limit: () => Math.min(this.resources.limits.groups, this.resources.limits.rulesPerGroup),
      read: (command, id, groups) => readGroup(command, id, groups),
      isUsed: (id) => [...this.rules.values()].some((rule) => groupOf(rule) === id),
      changed: (groups) => {
        this.groups = groups;
        this.compile();
      },
    };
  }

  private classifierType(): ObjectType {
    return {
      type: VIRTIO_NET_RESOURCE_OBJ.FF_CLASSIFIER,
      isEnabled: () => this.isEnabled(),
      limit: () => this.resources.limits.classifiers,
      read: (command) => this.readClassifier(command),
      isUsed: (id) => [...this.rules.values()].some((rule) => classifierOf(rule) === id),
      changed: (classifiers) => {
        this.classifiers = classifiers;
        this.compile();
      },
    };
  }

  private ruleType(): ObjectType {
    return {
      type: VIRTIO_NET_RESOURCE_OBJ.FF_RULE,
      isEnabled: () => this.isEnabled(),
      limit: () => Math.min(this.resources.limits.rules, this.resources.limits.rulesPerGroup),
      read: (command) => this.readRule(command),
      isUsed: () => false,
      changed: (rules) => {
        this.rules = rules;
        this.compile();
      },
    };
  }

  /** struct virtio_net_resource_obj_ff_classifier. §5.1.9.6.3.2 */
  private readClassifier(command: AdminCommand): Uint8Array | AdminOutcome {
    const count = command.u8(OBJECT_DATA + VIRTIO_NET_FF_LIST.count);
    if (count < 1 || count > this.resources.limits.selectorsPerClassifier) return INVALID_FIELD;
    const selectors = readSelectors(command.data.subarray(OBJECT_DATA), this.selectors.selectors);
    if (selectors === undefined || !isStack(selectors)) return INVALID_FIELD;
    // Said of all selectors at once, or of each by itself.
    const isPartial = (command.u32(VIRTIO_RESOURCE_OBJ.flags) & PARTIAL_MASK) !== 0;
    const isWhole = (selector: FlowSelector): boolean =>
      (selector.flags & PARTIAL_MASK) !== 0 ||
      masksWholeFields(selector) ||
      (isPartial && this.allowsPartial(selector));
    return selectors.every(isWhole) ? encodeSelectors(selectors) : INVALID_FIELD;
  }

  private allowsPartial({ type }: FlowSelector): boolean {
    const limit = this.selectors.selectors.find((selector) => selector.type === type);
    return limit !== undefined && (limit.flags & PARTIAL_MASK) !== 0;
  }

  /** struct virtio_net_resource_obj_ff_rule. §5.1.9.6.3.3 */
  private readRule(command: AdminCommand): Uint8Array | AdminOutcome {
    const head = command.bytes(OBJECT_DATA, RULE.keys);
    const classifier = this.classifiers.get(classifierOf(head));
    if (classifier === undefined || !this.groups.has(groupOf(head))) return INVALID_FIELD;
    const selectors = readSelectors(classifier, ALL_SELECTORS)!;
    const keyBytes = selectors.reduce((sum, { mask }) => sum + mask.length, 0);
    if (head[RULE.key_length] !== keyBytes) return INVALID_FIELD;
    if (head[RULE.rule_priority]! >= this.resources.limits.lastRulePriority) return INVALID_FIELD;
    const action = head[RULE.action]!;
    if (!this.actions.actions.includes(action)) return INVALID_FIELD;
    if (action === VIRTIO_NET_FF_ACTION.DIRECT_RX_VQ && !this.isReceiveQueue(queueOf(head))) return INVALID_FIELD;
    const rule = command.bytes(OBJECT_DATA, RULE.keys + keyBytes);
    return isKeyOf(selectors, keysOf(rule, selectors)) ? rule : INVALID_FIELD;
  }

  /** Receive queues have even indexes, below the control queue's. virtio 1.4 §5.1.2 */
  private isReceiveQueue(index: number): boolean {
    return index % 2 === 0 && index < 2 * this.state.pairsMax;
  }

  /** Groups from the highest priority on, and rules within them. */
  private compile(): void {
    const priority = (rule: Uint8Array): number =>
      u16(this.groups.get(groupOf(rule))!, VIRTIO_NET_FF_GROUP.group_priority);
    // A reset takes groups away before the rules in them.
    const rules = [...this.rules.values()].filter(
      (rule) => this.groups.has(groupOf(rule)) && this.classifiers.has(classifierOf(rule)),
    );
    rules.sort((a, b) => priority(b) - priority(a) || b[RULE.rule_priority]! - a[RULE.rule_priority]!);
    this.filter.set(rules.map((rule) => this.compileRule(rule)));
  }

  private compileRule(rule: Uint8Array): FlowRule {
    const selectors = readSelectors(this.classifiers.get(classifierOf(rule))!, ALL_SELECTORS)!;
    const keys = keysOf(rule, selectors);
    return {
      selectors: selectors.map(({ type, mask }, at) => ({ type, mask, key: keys[at]! })),
      verdict: rule[RULE.action] === VIRTIO_NET_FF_ACTION.DROP ? FLOW.DROP : queueOf(rule) >>> 1,
    };
  }
}

/** struct virtio_net_resource_obj_ff_group: each has a priority of its own. §5.1.9.6.3.1 */
function readGroup(
  command: AdminCommand,
  id: number,
  groups: ReadonlyMap<number, Uint8Array>,
): Uint8Array | AdminOutcome {
  const group = command.bytes(OBJECT_DATA, VIRTIO_NET_FF_GROUP.SIZE);
  const isTaken = [...groups].some(([other, bytes]) => other !== id && u16(bytes, 0) === u16(group, 0));
  return isTaken ? INVALID_FIELD : group;
}

/** Whether selectors follow each other as headers do, each with the field masked that says so. */
function isStack(selectors: readonly FlowSelector[]): boolean {
  const [link, network, transport] = selectors;
  if (link!.type !== T.ETH) return false;
  if (network === undefined) return true;
  const { mask } = link!;
  const row = NETWORK[network.type];
  if (row === undefined || mask[ETHERNET.type] !== 0xff || mask[ETHERNET.type + 1] !== 0xff) return false;
  if (transport === undefined) return true;
  return PROTOCOL[transport.type] !== undefined && network.mask[row.protocolAt] === 0xff;
}

/** Whether the keys say that each header is followed by the next selector's. */
function isKeyOf(selectors: readonly FlowSelector[], [link, network]: readonly Uint8Array[]): boolean {
  const [, ip, transport] = selectors;
  if (ip === undefined) return true;
  const { etherType, protocolAt } = NETWORK[ip.type]!;
  if (((link![ETHERNET.type]! << 8) | link![ETHERNET.type + 1]!) !== etherType) return false;
  return transport === undefined || network![protocolAt] === PROTOCOL[transport.type];
}

function keysOf(rule: Uint8Array, selectors: readonly FlowSelector[]): Uint8Array[] {
  let at: number = RULE.keys;
  return selectors.map(({ mask }) => {
    at += mask.length;
    return rule.subarray(at - mask.length, at);
  });
}

const u16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
const u32 = (bytes: Uint8Array, at: number): number => (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
const groupOf = (rule: Uint8Array): number => u32(rule, RULE.group_id);
const classifierOf = (rule: Uint8Array): number => u32(rule, RULE.classifier_id);
const queueOf = (rule: Uint8Array): number => u16(rule, RULE.vq_index);
