/**
 * Every rule the oracle judges by, once: its id, whose duty it is and where the spec says it. Ids of normative
 * statements count the statements of their conformance clause in order: `drv.split.indirect.4` is the fourth of
 * the driver's statements on indirect descriptors of split queues. Ids that begin with `ring.` are the oracle's
 * own, for what the section cited describes without a normative statement.
 */

export interface Rule {
  readonly by: 'driver' | 'device';
  /** Section of virtio 1.4. */
  readonly spec: string;
}

/** What is checked, by statement id or an id of the oracle's own: who has to keep it, and its section of virtio 1.4. */
export const RULES = {
  // Where a split queue lies.
  'ring.split.queue-size': { by: 'driver', spec: '2.7' },
  'drv.split.alignment.1': { by: 'driver', spec: '2.7.1' },
  'ring.split.part-unmapped': { by: 'driver', spec: '2.7' },
  'ring.split.part-overlap': { by: 'driver', spec: '2.7' },
  // Its available ring.
  'drv.split.avail-ring.1': { by: 'driver', spec: '2.7.6.1' },
  'ring.split.avail-ahead': { by: 'driver', spec: '2.7.6' },
  'ring.split.head-range': { by: 'driver', spec: '2.7.6' },
  'ring.split.head-twice': { by: 'driver', spec: '2.7.13.1' },
  'ring.split.desc-shared': { by: 'driver', spec: '2.7.13.1' },
  'ring.split.in-order-head': { by: 'driver', spec: '2.7.5' },
  'drv.split.used-notif-suppression.1': { by: 'driver', spec: '2.7.7.1' },
  'drv.split.used-notif-suppression.3': { by: 'driver', spec: '2.7.7.1' },
  // Its chains.
  'drv.split.framing.1': { by: 'driver', spec: '2.7.4.2' },
  'drv.split.desc-table.1': { by: 'driver', spec: '2.7.5.2' },
  'drv.split.desc-table.2': { by: 'driver', spec: '2.7.5.2' },
  'ring.split.next-range': { by: 'driver', spec: '2.7.5' },
  'ring.split.flags-reserved': { by: 'driver', spec: '2.7.5' },
  'ring.split.buffer-wrap': { by: 'driver', spec: '2.7.5' },
  'ring.split.buffer-unmapped': { by: 'driver', spec: '2.7.5' },
  'ring.split.buffer-in-ring': { by: 'driver', spec: '2.7' },
  'drv.split.indirect.1': { by: 'driver', spec: '2.7.5.3.1' },
  'drv.split.indirect.2': { by: 'driver', spec: '2.7.5.3.1' },
  'drv.split.indirect.3': { by: 'driver', spec: '2.7.5.3.1' },
  'drv.split.indirect.4': { by: 'driver', spec: '2.7.5.3.1' },
  'drv.split.indirect.5': { by: 'driver', spec: '2.7.5.3.1' },
  'ring.split.indirect-length': { by: 'driver', spec: '2.7.5.3' },
  'ring.split.indirect-unmapped': { by: 'driver', spec: '2.7.5.3' },
  'ring.split.indirect-next-range': { by: 'driver', spec: '2.7.5.3' },
  // Its used ring.
  'ring.split.used-overwritten': { by: 'driver', spec: '2.7.8' },
  'ring.split.used-ahead': { by: 'device', spec: '2.7.8' },
  'ring.split.used-id': { by: 'device', spec: '2.7.8' },
  'dev.split.avail-notif-suppression.1': { by: 'device', spec: '2.7.10.2' },
  'dev.split.avail-notif-suppression.3': { by: 'device', spec: '2.7.10.2' },

  // Where a packed queue lies.
  'drv.packed.alignment.1': { by: 'driver', spec: '2.8.11' },
  'ring.packed.part-unmapped': { by: 'driver', spec: '2.8.10.1' },
  'ring.packed.part-overlap': { by: 'driver', spec: '2.8.10.1' },
  // Its lists.
  'drv.packed.scatter-gather.2': { by: 'driver', spec: '2.8.17' },
  'drv.packed.scatter-gather.3': { by: 'driver', spec: '2.8.17' },
  'drv.packed.scatter-gather.5': { by: 'driver', spec: '2.8.17' },
  'drv.packed.scatter-gather.6': { by: 'driver', spec: '2.8.17' },
  'ring.packed.list-bytes': { by: 'driver', spec: '2.8.5' },
  'ring.packed.id-twice': { by: 'driver', spec: '2.8.21.1' },
  'ring.packed.flags-reserved': { by: 'driver', spec: '2.8.13' },
  'ring.packed.buffer-wrap': { by: 'driver', spec: '2.8.5' },
  'ring.packed.buffer-unmapped': { by: 'driver', spec: '2.8.5' },
  'ring.packed.buffer-in-ring': { by: 'driver', spec: '2.8' },
  'drv.packed.indirect.1': { by: 'driver', spec: '2.8.19' },
  'drv.packed.indirect.2': { by: 'driver', spec: '2.8.19' },
  'drv.packed.indirect.3': { by: 'driver', spec: '2.8.19' },
  'drv.packed.indirect.4': { by: 'driver', spec: '2.8.19' },
  'ring.packed.indirect-length': { by: 'driver', spec: '2.8.7' },
  'ring.packed.indirect-unmapped': { by: 'driver', spec: '2.8.7' },
  // Its event suppression structures.
  'ring.packed.driver-event-value': { by: 'driver', spec: '2.8.10' },
  'ring.packed.driver-event-reserved': { by: 'driver', spec: '2.8.14' },
  'ring.packed.driver-event-desc': { by: 'driver', spec: '2.8.10' },
  'ring.packed.driver-event-off': { by: 'driver', spec: '2.8.10' },
  'ring.packed.device-event-value': { by: 'device', spec: '2.8.10' },
  'ring.packed.device-event-reserved': { by: 'device', spec: '2.8.14' },
  'ring.packed.device-event-desc': { by: 'device', spec: '2.8.10' },
  'ring.packed.device-event-off': { by: 'device', spec: '2.8.10' },
} as const;

/** Id of one of {@link RULES}. */
export type RuleId = keyof typeof RULES;

/** Legal, and yet seldom meant: reported apart from violations. */
export const REMARKS = {
  'ring.split.zero-length': { by: 'driver', spec: '2.7.5' },
  'ring.split.indirect-write': { by: 'driver', spec: '2.7.5.3.2' },
  'ring.split.used-unpublished': { by: 'device', spec: '2.7.8' },
  'ring.packed.zero-length': { by: 'driver', spec: '2.8.5' },
  'ring.packed.indirect-write': { by: 'driver', spec: '2.8.7' },
  'ring.packed.id-range': { by: 'driver', spec: '2.8.21.1' },
} as const;

/** Id of one of {@link REMARKS}. */
export type RemarkId = keyof typeof REMARKS;
