import {
  VIRTIO_ADMIN_CAP,
  VIRTIO_NET_CAP,
  VIRTIO_NET_FF_ACTION,
  VIRTIO_NET_FF_CAP,
  VIRTIO_NET_FF_LIST,
  VIRTIO_NET_RESOURCE_OBJ,
} from '@ringwire/virtio-spec/admin';
import { type AdminCommand, type AdminOutcome, done, INVALID_FIELD } from '../admin/admin-command.js';
import type { Capability } from '../admin/self-group.js';
import { ALL_SELECTORS, encodeSelectors, type FlowSelector, readSelectors } from './flow-selectors.js';

const CAP = VIRTIO_NET_FF_CAP;
const DATA = VIRTIO_ADMIN_CAP.cap_specific_data;
const ACTIONS: readonly number[] = [VIRTIO_NET_FF_ACTION.DROP, VIRTIO_NET_FF_ACTION.DIRECT_RX_VQ];
const OBJECT_TYPES: readonly number[] = Object.values(VIRTIO_NET_RESOURCE_OBJ);

/** Each frame is compared with each rule at worst: so many are not too slow, and enough for a NIC's queues. */
const FLOW_LIMITS = {
  groups: 64,
  classifiers: 64,
  rules: 256,
  rulesPerGroup: 256,
  lastRulePriority: 255,
  selectorsPerClassifier: 3,
} as const;

type FlowLimits = Readonly<Record<keyof typeof FLOW_LIMITS, number>>;

const NONE: FlowLimits = {
  groups: 0,
  classifiers: 0,
  rules: 0,
  rulesPerGroup: 0,
  lastRulePriority: 0,
  selectorsPerClassifier: 0,
};

/** VIRTIO_NET_FF_RESOURCE_CAP: how many objects. @see virtio 1.4 §5.1.9.6.2.1 */
export class FlowResources implements Capability {
  readonly id: number = VIRTIO_NET_CAP.FF_RESOURCE;
  readonly device: Uint8Array = encodeLimits();
  readonly objectTypes: readonly number[] = OBJECT_TYPES;
  /** The driver's; all 0 until it set them. */
  limits: FlowLimits = NONE;

  get isSet(): boolean {
    const { groups, classifiers, rules, rulesPerGroup } = this.limits;
    return groups > 0 && classifiers > 0 && rules > 0 && rulesPerGroup > 0;
  }

  set(command: AdminCommand): AdminOutcome {
    const limits: FlowLimits = {
      groups: command.u32(DATA + CAP.groups_limit),
      classifiers: command.u32(DATA + CAP.classifiers_limit),
      rules: command.u32(DATA + CAP.rules_limit),
      rulesPerGroup: command.u32(DATA + CAP.rules_per_group_limit),
      lastRulePriority: command.u8(DATA + CAP.last_rule_priority),
      selectorsPerClassifier: command.u8(DATA + CAP.selectors_per_classifier_limit),
    };
    const names = Object.keys(FLOW_LIMITS) as (keyof typeof FLOW_LIMITS)[];
    if (names.some((name) => limits[name] > FLOW_LIMITS[name])) return INVALID_FIELD;
    this.limits = limits;
    return done();
  }

  reset(): void {
    this.limits = NONE;
  }
}

/** VIRTIO_NET_FF_SELECTOR_CAP: which headers, and which of their bits. @see virtio 1.4 §5.1.9.6.2.2 */
export class FlowSelectors implements Capability {
  readonly id: number = VIRTIO_NET_CAP.FF_SELECTOR;
  readonly device: Uint8Array = encodeSelectors(ALL_SELECTORS);
  readonly objectTypes: readonly number[] = OBJECT_TYPES;
  /** The driver's; none until it set them. */
  selectors: readonly FlowSelector[] = [];

  set(command: AdminCommand): AdminOutcome {
    const selectors = readSelectors(command.data.subarray(DATA), ALL_SELECTORS);
    if (selectors === undefined || !isAscending(selectors.map(({ type }) => type))) return INVALID_FIELD;
    this.selectors = selectors;
    return done();
  }

  reset(): void {
    this.selectors = [];
  }
}

/** VIRTIO_NET_FF_ACTION_CAP: what may become of a frame. @see virtio 1.4 §5.1.9.6.2.3 */
export class FlowActions implements Capability {
  readonly id: number = VIRTIO_NET_CAP.FF_ACTION;
  readonly device: Uint8Array = Uint8Array.of(ACTIONS.length, 0, 0, 0, 0, 0, 0, 0, ...ACTIONS);
  readonly objectTypes: readonly number[] = OBJECT_TYPES;
  /** The driver's; none until it set them. */
  actions: readonly number[] = [];

  set(command: AdminCommand): AdminOutcome {
    const count = command.u8(DATA + VIRTIO_NET_FF_LIST.count);
    const actions = [...command.bytes(DATA + VIRTIO_NET_FF_LIST.entries, count)];
    if (!isAscending(actions) || !actions.every((action) => ACTIONS.includes(action))) return INVALID_FIELD;
    this.actions = actions;
    return done();
  }

  reset(): void {
    this.actions = [];
  }
}

const isAscending = (numbers: readonly number[]): boolean =>
  numbers.every((number, at) => at === 0 || number > numbers[at - 1]!);

function encodeLimits(): Uint8Array {
  const bytes = new Uint8Array(CAP.SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(CAP.groups_limit, FLOW_LIMITS.groups, true);
  view.setUint32(CAP.classifiers_limit, FLOW_LIMITS.classifiers, true);
  view.setUint32(CAP.rules_limit, FLOW_LIMITS.rules, true);
  view.setUint32(CAP.rules_per_group_limit, FLOW_LIMITS.rulesPerGroup, true);
  view.setUint8(CAP.last_rule_priority, FLOW_LIMITS.lastRulePriority);
  view.setUint8(CAP.selectors_per_classifier_limit, FLOW_LIMITS.selectorsPerClassifier);
  return bytes;
}
