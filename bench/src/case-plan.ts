/** Ring formats; `packed` negotiates RING_PACKED. */
export type Layout = 'split' | 'packed';
/** Which frames travel: a length in bytes, or a mix. */
export type FrameKind = '64' | '256' | '1500' | 'imix' | 'pcap';
/** The one negotiated feature that sets a case apart from its plain neighbour. */
export type Variant = 'event_idx' | 'indirect' | 'in_order';
/** What of translation a case is about, see TRANSLATION_TEXT. */
export type Translation =
  | 'none'
  | 'hit'
  | 'miss-4k'
  | 'walk-4k'
  | 'miss-2m'
  | 'miss-1g'
  | 'thrash'
  | 'unmap-strict'
  | 'unmap-lazy';
/** Of a network device: which driver it has, and what that does. */
export interface NetWork {
  /** A poll-mode driver, or one with interrupts as a kernel's. */
  readonly driver: 'pmd' | 'kernel';
  /**
   * `tx` sends to a device that checks what it gets; `loop` has every frame back; `ping` has one at a time back; `wake`
   * sends one at a time to a device that sleeps.
   */
  readonly task: 'tx' | 'loop' | 'ping' | 'wake';
}
/** What the device does to every frame: copy and sum it in one pass, or copy it alone. */
export type Check = 'sum' | 'copy';

/** One case of the matrix: plain data, so that it can be posted to workers. */
export interface CasePlan {
  /** Such as `ring/split/xthread/64/b32`: what `--filter` looks at. */
  readonly name: string;
  /**
   * `ring` moves frames, `latency` sends one at a time and waits, `ringcost` moves buffers nobody looks into; `iommu` has no
   * ring at all, so that of the rest only `translation` counts; `net` is a whole network device and its driver.
   */
  readonly kind: 'ring' | 'latency' | 'ringcost' | 'iommu' | 'net';
  readonly layout: Layout;
  /** Driver and device in one thread, taking turns, or in a thread each. */
  readonly threads: 'inthread' | 'xthread';
  readonly frames: FrameKind;
  /** Buffers per publication, and most that the device takes at once. */
  readonly batch: number;
  readonly variant: Variant | undefined;
  /** Whether the device reaches memory through a VT-d unit, with ACCESS_PLATFORM negotiated. */
  readonly behindIommu: boolean;
  /** Of kind `iommu`. */
  readonly translation: Translation | undefined;
  /** Of kind `net`. */
  readonly net: NetWork | undefined;
  /** What a side with nothing to do does: look again, or sleep until it is notified. */
  readonly idle: 'spin' | 'sleep';
  readonly check: Check;
}

/** How long a case is run. */
export interface Timing {
  readonly warmSeconds: number;
  /** Of each measured repeat. */
  readonly seconds: number;
  readonly repeats: number;
}

/** Descriptors of DPDK's rings, and of ours beside them: its own default, and QEMU's. */
export const PEER_QUEUE_SIZE = 256;
/** Descriptors of a case's rings: room for four bursts, so that both sides have something to do. */
export const queueSizeOf = (plan: CasePlan): number => Math.max(PEER_QUEUE_SIZE, 4 * plan.batch);

/** Elements of one buffer: with INDIRECT_DESC a header and the rest, so that a table is worth it. */
export const elementsOf = (plan: CasePlan): 1 | 2 => (plan.variant === 'indirect' ? 2 : 1);
/** Bytes of the first of two elements; even, so that sums of both can be added. */
export const HEADER_BYTES = 16;
