import { PVIRTQ_DESC, VIRTQ_AVAIL, VIRTQ_DESC, VIRTQ_USED } from '@ringwire/virtio-spec';
import { type CasePlan, queueSizeOf } from './case-plan.js';
import type { FrameSet } from './frame-set.js';

const LINE = 64;
const TABLE_ENTRIES = 2;

/** Cache lines per frame that one side writes and the other reads. */
export interface CacheLines {
  readonly ring: number;
  readonly payload: number;
}

/** What {@link cacheLines} takes for granted: printed beside its figures. */
export const CACHE_LINES_TEXT: string =
  'cache lines that go from one core to the other per frame: a replay of one lap of the ring, burst by burst, over the ' +
  'bytes that one side writes and the other reads (descriptors, tables, ring entries, index words, payload). It ' +
  'assumes that the sides take turns; one that falls behind fetches a line once for several bursts. Event words, which ' +
  "move only when a side sleeps, and the device's own copies are left out. In one thread the lines stay where they are.";

type Area = 'desc' | 'avail' | 'used' | 'descUsed' | 'table';

/** Replay one lap. Descriptors are used in ring order: buffers come back in the order in which they went. */
export function cacheLines(plan: CasePlan, frames: FrameSet): CacheLines {
  if (plan.kind === 'iommu') return { ring: 0, payload: 0 };
  const size = queueSizeOf(plan);
  let moved = 0;
  for (let start = 0; start < size; start += plan.batch) {
    const lines = new Set<string>();
    const touch = (area: Area, from: number, bytes: number): void => {
      for (let line = Math.floor(from / LINE); line * LINE < from + bytes; line++) lines.add(`${area} ${line}`);
    };
    const burst = { start, end: Math.min(start + plan.batch, size) };
    if (plan.layout === 'split') replaySplit(plan, burst, touch);
    else replayPacked(plan, burst, touch);
    moved += lines.size;
  }
  const payload = frames.reduce((sum, { length }) => sum + Math.ceil(length / LINE), 0) / frames.length;
  const ring = moved / size;
  // The device's header lies in a line of its own, in front of the frame; what comes back goes through a second ring.
  if (plan.net !== undefined) {
    const ways = plan.net.task === 'loop' || plan.net.task === 'ping' ? 2 : 1;
    return { ring: ways * ring, payload: ways * (payload + 1) };
  }
  return { ring, payload: plan.kind === 'ringcost' ? 0 : payload };
}

interface Burst {
  readonly start: number;
  readonly end: number;
}
type Touch = (area: Area, from: number, bytes: number) => void;

function replaySplit(plan: CasePlan, { start, end }: Burst, touch: Touch): void {
  touch('avail', VIRTQ_AVAIL.idx, 2);
  touch('used', VIRTQ_USED.idx, 2);
  for (let index = start; index < end; index++) {
    touch('desc', index * VIRTQ_DESC.SIZE, VIRTQ_DESC.SIZE);
    touch('avail', VIRTQ_AVAIL.ring + index * VIRTQ_AVAIL.ELEM_SIZE, VIRTQ_AVAIL.ELEM_SIZE);
    if (plan.variant === 'indirect') touchTable(index, touch);
  }
  // With IN_ORDER one used element stands for the burst: it lies where the burst's first one would.
  const usedEnd = plan.variant === 'in_order' ? start + 1 : end;
  touch('used', VIRTQ_USED.ring + start * VIRTQ_USED.ELEM_SIZE, (usedEnd - start) * VIRTQ_USED.ELEM_SIZE);
}

function replayPacked(plan: CasePlan, { start, end }: Burst, touch: Touch): void {
  touch('desc', start * PVIRTQ_DESC.SIZE, (end - start) * PVIRTQ_DESC.SIZE);
  // The same lines on their way back.
  const usedEnd = plan.variant === 'in_order' ? start + 1 : end;
  touch('descUsed', start * PVIRTQ_DESC.SIZE, (usedEnd - start) * PVIRTQ_DESC.SIZE);
  if (plan.variant !== 'indirect') return;
  for (let index = start; index < end; index++) touchTable(index, touch);
}

function touchTable(index: number, touch: Touch): void {
  touch('table', index * TABLE_ENTRIES * VIRTQ_DESC.SIZE, TABLE_ENTRIES * VIRTQ_DESC.SIZE);
}
