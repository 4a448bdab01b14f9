import { type DeviceSnapshot, SNAPSHOT_SCHEMA } from '@ringwire/virtio-device';
import { VIRTQ_SIZE_MAX } from '@ringwire/virtio-spec';
import { z } from 'zod';

/** `device.json` as it comes from outside: every field is there, and in its range. */

const Count = z.number().int().min(0);
const Index = Count.max(0xffff);
const Wrap = z.union([z.literal(0), z.literal(1)]);
/** Printed as it is: nothing in it may steer a terminal. */
export const Line: z.ZodString = z.string().regex(/^\P{Cc}*$/u, 'want text without control characters');
const Text = Line.nullable();
const Hex = (digits: number): z.ZodString =>
  z
    .string()
    .regex(
      new RegExp(`^0x[0-9a-f]{1,${digits}}$`, 'i'),
      `want a hex number such as 0x5452000, of at most ${digits} digits`,
    );
const Counts = z.record(Line, Count);

const FeatureSet = z.object({ bits: Hex(32), names: z.array(Line) });

const Position = z.discriminatedUnion('layout', [
  z.object({ layout: z.literal('split'), lastAvailIdx: Index, usedIdx: Index }),
  z.object({
    layout: z.literal('packed'),
    lastAvailIdx: Index,
    lastAvailWrapCounter: Wrap,
    usedIdx: Index,
    usedWrapCounter: Wrap,
  }),
]);

const Queue = z
  .object({
    index: Index,
    sizeMax: Count.max(VIRTQ_SIZE_MAX),
    size: Count.max(VIRTQ_SIZE_MAX),
    enabled: z.boolean(),
    refusal: Text,
    desc: Hex(16),
    driver: Hex(16),
    device: Hex(16),
    layout: z.enum(['split', 'packed']).nullable(),
    position: Position.nullable(),
    inFlight: Count.nullable(),
    ringFault: Text,
    counters: z.object({ taken: Count, used: Count, notifications: Count, chainFaults: Counts }).nullable(),
  })
  .superRefine(({ enabled, size, layout, position }, context) => {
    const wrong = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (enabled !== (layout !== null))
      wrong('layout', 'want split or packed for an enabled queue, and null for others');
    if (enabled && size === 0) wrong('size', `want 1 to ${VIRTQ_SIZE_MAX} for an enabled queue`);
    if (position === null) return;
    if (position.layout !== layout)
      wrong('position', `want the position of a ${layout ?? 'queue that is enabled'} one`);
    const isSlot = position.lastAvailIdx < size && position.usedIdx < size;
    if (position.layout === 'packed' && !isSlot) wrong('position', `want slots below the queue size of ${size}`);
    if (position.lastAvailIdx !== position.usedIdx)
      wrong('position', 'want usedIdx equal to lastAvailIdx: nothing is in flight');
  });

const Vector = z.object({ masked: z.boolean(), pending: z.boolean() });

const Transport = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('pci'),
    memoryEnabled: z.boolean(),
    busMaster: z.boolean(),
    intxDisabled: z.boolean(),
    isr: Count.max(0xff),
    msix: z.object({ enabled: z.boolean(), functionMasked: z.boolean(), vectors: z.array(Vector) }).nullable(),
    configVector: Index.nullable(),
    queueVectors: z.array(Index.nullable()),
    refusedWrites: Count,
    notificationsIgnored: Count,
  }),
  z.object({ kind: z.literal('mmio'), interruptStatus: Count, badAccesses: Count, refusedAccesses: Count }),
  z.object({
    kind: z.literal('vhost-user'),
    connected: z.boolean(),
    regions: Count,
    refusal: Text,
    vrings: z.array(z.object({ started: z.boolean(), enabled: z.boolean(), kick: z.boolean(), call: z.boolean() })),
  }),
  z.object({
    kind: z.literal('vdpa'),
    suspended: z.boolean(),
    queueSpaces: z.array(Index),
    mappings: z.array(Count),
  }),
]);

const Model = z.object({
  type: z.literal('net'),
  linkUp: z.boolean(),
  mtu: Index,
  pairs: Count.max(0x8000),
  controlQueue: Index.nullable(),
  drops: Counts,
  backendFull: z.array(Index),
  coalescing: z.array(Index),
});

const Counters = z.object({
  kicks: Count,
  kicksIgnored: Count,
  usedNotifications: Count,
  configNotifications: Count,
  resets: Count,
  queueResets: Count,
  needsReset: Count,
  featuresRefused: Count,
  enableRefused: Count,
  statusIgnored: Count,
  featureWritesIgnored: Count,
  queueWritesIgnored: Count,
  configWritesIgnored: Count,
});

/** The type says that what passes is a snapshot: a field that one of the two lacks does not compile. */
export const DeviceSnapshotFile: z.ZodType<DeviceSnapshot> = z.object({
  schema: z.literal(SNAPSHOT_SCHEMA),
  deviceId: Count,
  deviceType: Line,
  status: Count.max(0xff),
  statusNames: z.array(Line),
  live: z.boolean(),
  dmaEnabled: z.boolean(),
  offered: FeatureSet,
  accepted: FeatureSet,
  featuresRefusal: Text,
  statusProblem: Text,
  resetReason: Text,
  config: z.object({ generation: Count, bytes: z.string().regex(/^([0-9a-f]{2})*$/, 'want two hex digits a byte') }),
  counters: Counters,
  queues: z.array(Queue),
  transport: Transport,
  model: Model.nullable(),
  unreachable: z.array(Hex(16)),
});
