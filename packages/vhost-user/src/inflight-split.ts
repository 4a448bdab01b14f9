import { ACCESS } from '@ringwire/guest-memory';
import { VIRTQ_USED } from '@ringwire/virtio-spec';
import type { QueueConfig, QueueState } from '@ringwire/virtqueue';
import { REGION_VERSION, SPLIT_REGION, SPLIT_STATE } from './inflight-layout.js';
import type { InflightRecord, InflightRegion } from './inflight-record.js';

const TWO_32 = 0x1_0000_0000;

/** Chains in flight of a split ring: a flag for each head. @see vhost-user, Inflight I/O tracking */
export class SplitRecord implements InflightRecord {
  readonly state: QueueState;
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  private readonly u32: Uint32Array;
  private readonly at: number;
  /** Heads that an earlier life had in flight, in its order; {@link taken} says how many of them this one has. */
  private readonly again: readonly number[];
  /** Chains taken and not given back, all in all. */
  private taken = 0;
  private counter: number;
  private lastBatchHead: number;
  /** Heads that were put since the last publication. */
  private readonly batch: Uint16Array;
  private batchSize = 0;
  private usedIdx: number;

  private constructor(region: InflightRegion, usedIdx: number, again: readonly number[], counter: number) {
    const { u8, u16, u32 } = region.memory;
    this.u8 = u8;
    this.u16 = u16;
    this.u32 = u32;
    this.at = region.at;
    this.batch = new Uint16Array(region.size);
    this.usedIdx = usedIdx;
    this.again = again;
    this.counter = counter;
    this.lastBatchHead = u16[(region.at + SPLIT_REGION.last_batch_head) >>> 1]!;
    this.state = { layout: 'split', lastAvailIdx: usedIdx, usedIdx };
  }

  /**
   * Begin, or go on where an earlier life stopped.
   * @param config of a queue that can be opened
   * @param state  where it begins when the region is a new one
   * @returns the record, or why the region can't be one
   */
  static open(region: InflightRegion, config: QueueConfig, state: QueueState): SplitRecord | string {
    const { memory, at, size } = region;
    const { u8, u16, u32 } = memory;
    const half = (field: number): number => (at + field) >>> 1;
    const stateAt = (head: number): number => at + SPLIT_REGION.desc + head * SPLIT_STATE.SIZE;
    const version = u16[half(SPLIT_REGION.version)]!;
    if (version === 0) {
      memory.engine.fill(at, 0, SPLIT_REGION.desc + size * SPLIT_STATE.SIZE);
      u16[half(SPLIT_REGION.desc_num)] = size;
      u16[half(SPLIT_REGION.used_idx)] = state.usedIdx;
      Atomics.store(u16, half(SPLIT_REGION.version), REGION_VERSION);
      return new SplitRecord(region, state.usedIdx, [], 0);
    }
    if (version !== REGION_VERSION) return `version is ${version}, want ${REGION_VERSION}`;
    const descNum = u16[half(SPLIT_REGION.desc_num)]!;
    if (descNum !== size) return `desc_num is ${descNum}, want ${size}`;
    const device = config.space.resolve(config.device, VIRTQ_USED.ring, ACCESS.READ);
    if (device < 0) return 'the used ring is out of reach';
    const usedIdx = Atomics.load(u16, (device + VIRTQ_USED.idx) >>> 1);
    const heads = (): number[] => Array.from({ length: size }, (_, n) => n).filter((n) => u8[stateAt(n)] === 1);
    // Visible, and perhaps not off the record yet: the batch that was published last.
    const batch = (usedIdx - u16[half(SPLIT_REGION.used_idx)]!) & 0xffff;
    if (batch !== 0 && heads().length > 0) {
      if (batch > size) return `used_idx is ${batch} behind, want at most ${size}`;
      let head = u16[half(SPLIT_REGION.last_batch_head)]!;
      for (let n = 0; n < batch; n++) {
        if (head >= size) return `head ${head} in the last batch, want below ${size}`;
        u8[stateAt(head)] = 0;
        head = u16[(stateAt(head) + SPLIT_STATE.next) >>> 1]!;
      }
    }
    u16[half(SPLIT_REGION.used_idx)] = usedIdx;
    const counterOf = (head: number): number => {
      const word = (stateAt(head) + SPLIT_STATE.counter) >>> 2;
      return u32[word + 1]! * TWO_32 + u32[word]!;
    };
    const again = heads().map((head) => ({ head, counter: counterOf(head) }));
    const strange = again.find(({ head, counter }) => head >= config.size || counter > Number.MAX_SAFE_INTEGER);
    if (strange !== undefined) return `head ${strange.head} with counter ${strange.counter} is in flight`;
    again.sort((a, b) => a.counter - b.counter);
    const order = again.map(({ head }) => head);
    return new SplitRecord(region, usedIdx, order, again.length === 0 ? 0 : again.at(-1)!.counter + 1);
  }

  nextAgain(): number {
    return this.again[this.taken] ?? -1;
  }

  took(head: number): void {
    if (++this.taken <= this.again.length) return;
    const at = this.stateAt(head);
    const word = (at + SPLIT_STATE.counter) >>> 2;
    this.u32[word] = this.counter;
    this.u32[word + 1] = this.counter / TWO_32;
    this.counter++;
    Atomics.store(this.u8, at, 1);
  }

  gaveBack(head: number): void {
    if (this.taken-- <= this.again.length) return;
    this.u8[this.stateAt(head)] = 0;
  }

  put(head: number): void {
    this.batch[this.batchSize++] = head;
  }

  beforePublish(): void {
    for (let i = 0; i < this.batchSize; i++) {
      const head = this.batch[i]!;
      this.u16[(this.stateAt(head) + SPLIT_STATE.next) >>> 1] = this.lastBatchHead;
      this.lastBatchHead = head;
    }
    this.u16[(this.at + SPLIT_REGION.last_batch_head) >>> 1] = this.lastBatchHead;
  }

  published(): void {
    for (let i = 0; i < this.batchSize; i++) this.u8[this.stateAt(this.batch[i]!)] = 0;
    this.usedIdx = (this.usedIdx + this.batchSize) & 0xffff;
    this.batchSize = 0;
    Atomics.store(this.u16, (this.at + SPLIT_REGION.used_idx) >>> 1, this.usedIdx);
  }

  /** The used index in memory tells where a split ring is. */
  finish(): void {}

  relocate(): void {}

  private stateAt(head: number): number {
    return this.at + SPLIT_REGION.desc + head * SPLIT_STATE.SIZE;
  }
}
