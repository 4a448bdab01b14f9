import { z } from 'zod';

/** The files of a set, as `golden/sets/README.md` describes them; keys that no check here uses may be there or not. */

const HexNumber = z.string().regex(/^0x[0-9a-f]+$/i, 'want a hex number such as 0x5452000');
const Address = HexNumber.transform((text) => BigInt(text)).refine(
  (value) => value < 1n << 64n,
  'want 64 bits at most',
);
const HexBytes = z.string().regex(/^([0-9a-f]{2})*$/i, 'want an even number of hex digits');
const Count = z.number().int().min(0);
const Index16 = Count.max(0xffff);
const WrapCounter = z.union([z.literal(0), z.literal(1), z.boolean().transform((wrap): 0 | 1 => (wrap ? 1 : 0))]);
/** Room for the largest segmented frame. */
const FrameLength = Count.min(20).max(0x100000);

export const PagesIndex = z.object({
  page_size: Count.min(1),
  pages: z.array(z.object({ gpa: Address, offset: Count })),
});
export type PagesIndex = z.infer<typeof PagesIndex>;

const Frame = z.union([HexBytes, z.object({ seq: Count.max(0xffff_ffff), len: FrameLength })]);
export type Frame = z.infer<typeof Frame>;

const FrameList = z.union([
  z.array(Frame),
  z.object({ generator: z.literal('xorshift'), first_seq: Count, count: Count.max(65536), length: FrameLength }),
]);
export type FrameList = z.infer<typeof FrameList>;

/** Frame, offset in the frame, address, length. */
const Placement = z.tuple([Count, Count, Address, Count]);
export type Placement = z.infer<typeof Placement>;

const Positions = z.object({
  index: Count,
  last_avail_idx: Index16,
  used_idx: Index16.optional(),
  inuse: Count.optional(),
  last_avail_wrap_counter: WrapCounter.optional(),
  used_wrap_counter: WrapCounter.optional(),
});
export type QueuePositions = z.infer<typeof Positions>;

const Queue = Positions.extend({
  name: z.string(),
  num: Count.min(1).max(32768),
  desc: Address,
  driver: Address,
  device: Address,
  shadow_avail_idx: Index16.optional(),
  available: Count.optional(),
  descriptors_consumed_by_steps: Count.optional(),
  rings: z.object({ avail_flags: Index16, avail_idx: Index16, used_flags: Index16, used_idx: Index16 }).optional(),
  avail_elements: z
    .array(z.object({ avail_idx: Index16, head: Index16, descs: z.array(z.tuple([Address, Count, Index16])) }))
    .optional(),
});
export type Queue = z.infer<typeof Queue>;

const Step = z.object({
  name: z.string(),
  inject: FrameList,
  frames_out: FrameList,
  placements: z.array(Placement),
  /** Address, bytes before (null when not kept), bytes after. */
  changes: z.array(z.tuple([Address, HexBytes.nullable(), HexBytes])),
  queues_after: z.array(Positions).optional(),
  /** Used buffer notifications by virtqueue index; `_required` where the specification asks for fewer. */
  interrupts: z.record(z.string(), Count).optional(),
  interrupts_required: z.record(z.string(), Count).optional(),
  inject_vnet_hdr: z.array(HexBytes).optional(),
  frames_out_vnet_hdr: z.array(HexBytes).optional(),
});
export type Step = z.infer<typeof Step>;

export const RingSetExpectation = z.object({
  kind: z.enum(['virtqueue-split', 'virtqueue-packed', 'dpdk-virtqueue-split', 'dpdk-virtqueue-packed', 'vtd']),
  capture: z.object({ machine: z.string().optional(), memory_mib: Count.optional() }).optional(),
  features: HexNumber.transform((text) => BigInt(text)),
  header_len: Count,
  ring_addresses_are: z.string().optional(),
  /** `vtd`: whose IOVAs the ring addresses are. */
  source_id: Count.max(0xffff).optional(),
  memory_table: z.array(z.object({ guest_phys_addr: Address, size: Address, userspace_addr: Address })).optional(),
  queues: z.array(Queue).min(1),
  steps: z.array(Step),
  vring_base_after_steps: z.record(z.string(), z.string()).optional(),
});
export type RingSetExpectation = z.infer<typeof RingSetExpectation>;

export const AnySet = z.object({ kind: z.string() });

/** Kinds with VT-d tables; `vtd` has rings behind them. */
export const TABLE_KINDS: readonly string[] = ['vtd', 'vtd-tables'];

/** PCI configuration spaces, without memory. */
export const PCI_KIND = 'pci-config';
