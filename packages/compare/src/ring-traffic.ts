import { PVIRTQ_DESC, VIRTQ_AVAIL, VIRTQ_DESC, VIRTQ_USED } from '@ringwire/virtio-spec';

const LINE = 64;
const TABLE_ENTRIES = 2;
const INDEX_BYTES = 2;

/** One ring in use. */
export interface RingPlan {
  readonly layout: 'split' | 'packed';
  /** Queue Size. */
  readonly size: number;
  /** Buffers that either side handles together. */
  readonly burst: number;
  /** Features that change what is written: one used element for a burst, or a table for each buffer. */
  readonly variant?: 'in_order' | 'indirect' | undefined;
}

/** What one ring costs, for each buffer that goes round. */
export interface RingTraffic {
  /** Cache lines that one side writes and the other one reads. */
  readonly lines: number;
  /** Pieces of memory, each in one go, that the device reads or writes. */
  readonly transactions: number;
  /** Bytes of these pieces. */
  readonly bytes: number;
}

/** What {@link ringTraffic} takes for granted: printed beside its figures. */
export const RING_TRAFFIC_TEXT: string =
  'a replay of one lap of the ring, burst by burst, over the bytes that one side writes and the other reads (descriptors, ' +
  'tables, ring entries, index words). It assumes that the sides take turns; one that falls behind fetches a line once ' +
  'for several bursts. Event words, which move only when a side sleeps, are left out';

type Area = 'desc' | 'avail' | 'used' | 'descUsed' | 'table';

/** One burst: lines that are touched, and pieces. Neighbours in one area are one piece, index words one of their own. */
class Burst {
  readonly lines: Set<string> = new Set();
  pieces = 0;
  bytes = 0;
  private readonly ends: Map<Area, number> = new Map();

  touch(area: Area, from: number, bytes: number): void {
    this.add(area, from, bytes);
    if (this.ends.get(area) !== from) this.pieces++;
    this.ends.set(area, from + bytes);
  }

  /** A piece of its own, whatever lies beside it. */
  touchAlone(area: Area, from: number, bytes: number): void {
    this.add(area, from, bytes);
    this.pieces++;
  }

  private add(area: Area, from: number, bytes: number): void {
    for (let line = Math.floor(from / LINE); line * LINE < from + bytes; line++) this.lines.add(`${area} ${line}`);
    this.bytes += bytes;
  }
}

/** Replay one lap. Descriptors are used in ring order: buffers come back in the order in which they went. */
export function ringTraffic(plan: RingPlan): RingTraffic {
  const { size, burst, layout } = plan;
  let lines = 0;
  let pieces = 0;
  let bytes = 0;
  for (let start = 0; start < size; start += burst) {
    const one = new Burst();
    const end = Math.min(start + burst, size);
    if (layout === 'split') replaySplit(plan, one, start, end);
    else replayPacked(plan, one, start, end);
    lines += one.lines.size;
    pieces += one.pieces;
    bytes += one.bytes;
  }
  return { lines: lines / size, transactions: pieces / size, bytes: bytes / size };
}

function replaySplit({ variant }: RingPlan, one: Burst, start: number, end: number): void {
  one.touchAlone('avail', VIRTQ_AVAIL.idx, INDEX_BYTES);
  one.touchAlone('used', VIRTQ_USED.idx, INDEX_BYTES);
  for (let index = start; index < end; index++) {
    one.touch('desc', index * VIRTQ_DESC.SIZE, VIRTQ_DESC.SIZE);
    one.touch('avail', VIRTQ_AVAIL.ring + index * VIRTQ_AVAIL.ELEM_SIZE, VIRTQ_AVAIL.ELEM_SIZE);
    if (variant === 'indirect') touchTable(one, index);
  }
  // With IN_ORDER one used element stands for the burst: it lies where the burst's first one would.
  const usedEnd = variant === 'in_order' ? start + 1 : end;
  one.touch('used', VIRTQ_USED.ring + start * VIRTQ_USED.ELEM_SIZE, (usedEnd - start) * VIRTQ_USED.ELEM_SIZE);
}

function replayPacked({ variant }: RingPlan, one: Burst, start: number, end: number): void {
  one.touch('desc', start * PVIRTQ_DESC.SIZE, (end - start) * PVIRTQ_DESC.SIZE);
  // The same lines on their way back.
  const usedEnd = variant === 'in_order' ? start + 1 : end;
  one.touch('descUsed', start * PVIRTQ_DESC.SIZE, (usedEnd - start) * PVIRTQ_DESC.SIZE);
  if (variant !== 'indirect') return;
  for (let index = start; index < end; index++) touchTable(one, index);
}

/** Tables lie one behind the other, and each is read when its buffer is. */
function touchTable(one: Burst, index: number): void {
  const bytes = TABLE_ENTRIES * VIRTQ_DESC.SIZE;
  one.touchAlone('table', index * bytes, bytes);
}
