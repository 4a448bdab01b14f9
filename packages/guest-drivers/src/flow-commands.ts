import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_ADMIN_STATUS,
  VIRTIO_NET_CAP,
  VIRTIO_NET_FF_ACTION,
  VIRTIO_NET_FF_CAP,
  VIRTIO_NET_FF_GROUP,
  VIRTIO_NET_FF_LIST,
  VIRTIO_NET_FF_MASK_BYTES,
  VIRTIO_NET_FF_MASK_F,
  VIRTIO_NET_FF_MASK_FIELDS,
  VIRTIO_NET_FF_MASK_TYPE,
  VIRTIO_NET_FF_RULE,
  VIRTIO_NET_FF_SELECTOR,
  VIRTIO_NET_RESOURCE_OBJ,
} from '@ringwire/virtio-spec/admin';
import type { AdminClient, AdminDone } from './admin-client.js';
import { AdminObjects, getCapability, setCapability } from './admin-objects.js';
import type { AdminReply } from './admin-queue.js';

const CAP = VIRTIO_NET_FF_CAP;
const SEL = VIRTIO_NET_FF_SELECTOR;
const RULE = VIRTIO_NET_FF_RULE;
const OBJ = VIRTIO_NET_RESOURCE_OBJ;
const T = VIRTIO_NET_FF_MASK_TYPE;
const { OK, EAGAIN } = VIRTIO_ADMIN_STATUS;
const { DROP, DIRECT_RX_VQ } = VIRTIO_NET_FF_ACTION;
const SPEC = 'virtio 1.4 §5.1.9.6.5';
/** Room for the longest list of selectors: one of each type. */
const LIST_BYTES = 0x100;

/** What of one header counts, and what it is to be: both as long as the header, `VIRTIO_NET_FF_MASK_BYTES`. */
export interface FlowField {
  /** A `VIRTIO_NET_FF_MASK_TYPE`: ETH first, then IPV4 or IPV6, then TCP or UDP. */
  readonly type: number;
  readonly mask: Uint8Array;
  readonly key: Uint8Array;
}

/** Which frames, and what becomes of them. */
export interface FlowWish {
  readonly id: number;
  readonly group: number;
  readonly classifier: number;
  readonly priority: number;
  readonly fields: readonly FlowField[];
  /** Queue pair whose receive queue gets them; left out, they are dropped. */
  readonly pair?: number;
}

/**
 * Flow filters of a network device's own driver. A method returns false when too many commands are on their way; `done`
 * hears how the last of them ended. @see virtio 1.4 §5.1.9.6
 */
export class FlowCommands {
  private readonly client: AdminClient;
  private readonly objects: AdminObjects;
  private selectors: ReadonlyMap<number, Uint8Array> = new Map();
  private isPartial = false;
  private lastPriority = 0;
  private readonly priorities: Map<string, number> = new Map();

  /** @param client whose self group has begun */
  constructor(client: AdminClient) {
    this.client = client;
    this.objects = new AdminObjects(client.self);
  }

  /** Say that everything is used that the device has, by all three capabilities; before anything else. */
  enable(done: AdminDone): boolean {
    this.objects.needNone(Object.values(OBJ));
    return this.takeOver(VIRTIO_NET_CAP.FF_RESOURCE, CAP.SIZE, CAP.SIZE, done, (limits) => {
      const view = new DataView(limits.buffer);
      const perGroup = view.getUint32(CAP.rules_per_group_limit, true);
      this.objects.setLimit(OBJ.FF_GROUP, Math.min(view.getUint32(CAP.groups_limit, true), perGroup));
      this.objects.setLimit(OBJ.FF_CLASSIFIER, view.getUint32(CAP.classifiers_limit, true));
      this.objects.setLimit(OBJ.FF_RULE, Math.min(view.getUint32(CAP.rules_limit, true), perGroup));
      this.lastPriority = view.getUint8(CAP.last_rule_priority);
      const { FF_SELECTOR, FF_ACTION } = VIRTIO_NET_CAP;
      return this.takeOver(FF_SELECTOR, LIST_BYTES, 0, done, (list) => {
        this.readSelectors(list);
        return this.takeOver(FF_ACTION, LIST_BYTES, 0, done, () => true);
      });
    });
  }

  /** @param priority 16 bits, another one for each group: those with higher ones are tried first */
  createGroup(id: number, priority: number, done: AdminDone): boolean {
    const data = new Uint8Array(VIRTIO_NET_FF_GROUP.SIZE);
    new DataView(data.buffer).setUint16(VIRTIO_NET_FF_GROUP.group_priority, priority, true);
    return this.objects.create(0, OBJ.FF_GROUP, id, data, [], done);
  }

  /** @throws VirtioError for headers that do not follow each other, or bits that the device does not match */
  createClassifier(id: number, fields: readonly FlowField[], done: AdminDone): boolean {
    this.checkFields(fields);
    const bytes: number[] = [fields.length, 0, 0, 0, 0, 0, 0, 0];
    const flags = this.isPartial ? VIRTIO_NET_FF_MASK_F.PARTIAL_MASK : 0;
    for (const { type, mask } of fields) bytes.push(type, flags, 0, 0, mask.length, 0, 0, 0, ...mask);
    return this.objects.create(0, OBJ.FF_CLASSIFIER, id, Uint8Array.from(bytes), [], done);
  }

  /**
   * @param wish of which `fields` have the classifier's masks
   * @throws VirtioError for a priority that another rule of the group has, or groups and classifiers that there are not
   */
  createRule(wish: FlowWish, done: AdminDone): boolean {
    const { id, group, classifier, priority, fields, pair } = wish;
    this.checkFields(fields);
    const place = `${group} ${priority}`;
    if (!(priority >= 0 && priority < this.lastPriority) || [...this.priorities].some(([key]) => key === place))
      throw new VirtioError('priority', priority, `one below ${this.lastPriority} that no rule of the group has`, SPEC);
    const key = fields.flatMap((field) => [...field.key]);
    const data = new Uint8Array(RULE.keys + key.length);
    const view = new DataView(data.buffer);
    view.setUint32(RULE.group_id, group, true);
    view.setUint32(RULE.classifier_id, classifier, true);
    view.setUint8(RULE.rule_priority, priority);
    view.setUint8(RULE.key_length, key.length);
    view.setUint8(RULE.action, pair === undefined ? DROP : DIRECT_RX_VQ);
    view.setUint16(RULE.vq_index, pair === undefined ? 0 : 2 * pair, true);
    data.set(key, RULE.keys);
    const needs = [
      [OBJ.FF_GROUP, group],
      [OBJ.FF_CLASSIFIER, classifier],
    ] as const;
    const isSent = this.objects.create(0, OBJ.FF_RULE, id, data, needs, (reply) => {
      if (reply.status !== OK) this.priorities.delete(place);
      done(reply);
    });
    if (isSent) this.priorities.set(place, id);
    return isSent;
  }

  destroyRule(id: number, done: AdminDone): boolean {
    return this.objects.destroy(OBJ.FF_RULE, id, (reply) => {
      if (reply.status === OK)
        for (const [place, rule] of this.priorities) if (rule === id) this.priorities.delete(place);
      done(reply);
    });
  }

  /** @throws VirtioError while rules depend on it */
  destroyClassifier(id: number, done: AdminDone): boolean {
    return this.objects.destroy(OBJ.FF_CLASSIFIER, id, done);
  }

  /** @throws VirtioError while rules depend on it */
  destroyGroup(id: number, done: AdminDone): boolean {
    return this.objects.destroy(OBJ.FF_GROUP, id, done);
  }

  /**
   * Read one capability, set the same, and go on.
   * @param bytes that are set whatever there is, 0 for what there is
   */
  private takeOver(
    id: number,
    room: number,
    bytes: number,
    done: AdminDone,
    next: (value: Uint8Array<ArrayBuffer>) => boolean,
  ): boolean {
    const { self } = this.client;
    return getCapability(self, id, room, (reply) => {
      if (reply.status !== OK) {
        done(reply);
        return;
      }
      const value = new Uint8Array(bytes === 0 ? reply.result.length : bytes);
      value.set(reply.result.subarray(0, value.length));
      const isSent = setCapability(self, id, value, (set: AdminReply) => {
        const isLast = id === VIRTIO_NET_CAP.FF_ACTION;
        if (set.status !== OK || isLast) done(set);
        else if (!next(value)) done({ ...set, status: EAGAIN });
      });
      if (!isSent) done({ ...reply, status: EAGAIN });
    });
  }

  /** What the device says that it matches, foreign: what does not look like a selector ends the list. */
  private readSelectors(list: Uint8Array): void {
    const selectors = new Map<number, Uint8Array>();
    let at: number = VIRTIO_NET_FF_LIST.entries;
    this.isPartial = true;
    for (let left = list[VIRTIO_NET_FF_LIST.count] ?? 0; left > 0; left--) {
      const type = list[at + SEL.type] ?? 0;
      const length = list[at + SEL.length] ?? 0;
      const mask = list.slice(at + SEL.mask, at + SEL.mask + length);
      if (length !== VIRTIO_NET_FF_MASK_BYTES[type] || mask.length !== length) break;
      if ((list[at + SEL.flags]! & VIRTIO_NET_FF_MASK_F.PARTIAL_MASK) === 0) this.isPartial = false;
      selectors.set(type, mask);
      at += SEL.mask + length;
    }
    this.selectors = selectors;
  }

  private checkFields(fields: readonly FlowField[]): void {
    const [link, network, transport] = fields;
    const wrong = (want: string): never => {
      throw new VirtioError('fields', fields.map(({ type }) => type).join(' '), want, SPEC);
    };
    if (link?.type !== T.ETH || fields.length > 3) wrong('ETH first, and at most three');
    if (network !== undefined && network.type !== T.IPV4 && network.type !== T.IPV6) wrong('IPV4 or IPV6 second');
    if (transport !== undefined && transport.type !== T.TCP && transport.type !== T.UDP) wrong('TCP or UDP third');
    for (const { type, mask, key } of fields) {
      const can = this.selectors.get(type);
      const isShort = mask.length !== VIRTIO_NET_FF_MASK_BYTES[type] || key.length !== mask.length;
      if (can === undefined || isShort || mask.some((bits, at) => (bits & ~can[at]!) !== 0))
        wrong('headers and bits that the device matches, in their whole length');
    }
    if (!this.isPartial && !fields.every(countsWhole)) wrong('whole fields: the device masks no parts of them');
    if (network !== undefined) this.checkNext(link!, 12, network.type === T.IPV4 ? [0x08, 0x00] : [0x86, 0xdd]);
    if (transport !== undefined)
      this.checkNext(network!, network!.type === T.IPV4 ? 9 : 6, [transport.type === T.TCP ? 6 : 17]);
  }

  /** The field that names the next header is masked whole, and names it. */
  private checkNext({ mask, key }: FlowField, at: number, value: readonly number[]): void {
    if (value.every((byte, i) => mask[at + i] === 0xff && key[at + i] === byte)) return;
    throw new VirtioError(
      'key',
      key[at]!,
      `${value.join(' ')} at ${at}, where the next header is named, masked whole`,
      SPEC,
    );
  }
}

/** Whether each field of a header is masked whole or not at all. */
function countsWhole({ type, mask }: FlowField): boolean {
  let at = 0;
  return VIRTIO_NET_FF_MASK_FIELDS[type]!.every((bits) => {
    const set = Array.from({ length: bits }, (_, i) => (mask[(at + i) >>> 3]! >>> (7 - ((at + i) & 7))) & 1);
    at += bits;
    return new Set(set).size === 1;
  });
}
