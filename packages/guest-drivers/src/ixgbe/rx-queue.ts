import { RX_ERROR, RX_STATUS } from '@ringwire/nic-spec/ixgbe';
import type { DmaArena } from '../dma-arena.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { type IxgbeFrame, NO_TAG } from './ixgbe-offload.js';
import { hasBadChecksum, hashReportOf, receivedFlags } from './rx-facts.js';
import { NOTHING, type RxRing } from './rx-ring.js';

const { EOP, VP } = RX_STATUS;
const { RXE } = RX_ERROR;
const ETHERNET = 14;
const PAGE = 4096;
const WORD = 0x1_0000_0000;
/** The longest frame that the card takes, without its check sequence (82599 datasheet §8.2.3.22, MAXFRS). */
export const LONGEST_FRAME = 15872;

/** What becomes of the tags that the card takes out of received frames. */
export type TagUse = 'none' | 'report' | 'hide';

/** One receive queue of a kernel-style driver: its buffers are its own, and posted again and again. */
export class IxgbeRxQueue {
  readonly ring: RxRing;
  private readonly frame: IxgbeFrame;
  private readonly tags: TagUse;
  private readonly counters: IxgbeCounters;
  private readonly deliver: (frame: IxgbeFrame) => void;
  private readonly bufferBytes: number;
  /** Buffers that the longest frame fills. */
  private readonly partsMax: number;
  // Per buffer.
  private readonly addressLo: Int32Array;
  private readonly addressHi: Int32Array;
  private readonly host: Uint32Array;
  // Buffers to be posted.
  private readonly waiting: Uint16Array;
  private waitingCount = 0;
  // Buffers of the frame at hand, whose last one may not have come yet.
  private readonly parts: Uint16Array;
  private partsCount = 0;
  /** Why the frame at hand is given up. */
  private fault: 'rxTooLong' | 'rxShort' | 'rxMerge' | undefined = undefined;

  /**
   * @param bufferBytes of each buffer: 1024, 2048 or 4096
   * @param frame       reused for every frame that is handed up
   * @param deliver     gets each frame; its buffers go back into the ring afterwards
   */
  constructor(
    ring: RxRing,
    arena: DmaArena,
    bufferBytes: number,
    tags: TagUse,
    frame: IxgbeFrame,
    counters: IxgbeCounters,
    deliver: (frame: IxgbeFrame) => void,
  ) {
    const count = ring.size - 1;
    this.ring = ring;
    this.frame = frame;
    this.tags = tags;
    this.counters = counters;
    this.deliver = deliver;
    this.bufferBytes = bufferBytes;
    this.partsMax = Math.min(count, Math.ceil(LONGEST_FRAME / bufferBytes));
    this.addressLo = new Int32Array(count);
    this.addressHi = new Int32Array(count);
    this.host = new Uint32Array(count);
    this.waiting = new Uint16Array(count);
    this.parts = new Uint16Array(this.partsMax);
    this.place(arena, count);
  }

  /** Whether a descriptor is written back. */
  hasNext(): boolean {
    return this.ring.hasNext();
  }

  /**
   * Hand up frames, and post their buffers again.
   * @param budget most frames, given up ones included
   * @returns frames; fewer than the budget when there is none left
   */
  poll(budget: number): number {
    let done = 0;
    while (done < budget) {
      const buffer = this.ring.take();
      if (buffer === NOTHING) break;
      if (this.takePart(buffer)) done++;
    }
    this.refill();
    return done;
  }

  /** Give all buffers that are at hand to the card. */
  refill(): void {
    const { ring, waiting } = this;
    if (this.waitingCount === 0) return;
    while (this.waitingCount > 0 && ring.room > 0) {
      const buffer = waiting[--this.waitingCount]!;
      ring.add(this.addressLo[buffer]!, this.addressHi[buffer]!, buffer);
    }
    ring.publish();
  }

  /** @returns whether a frame ends with this buffer */
  private takePart(buffer: number): boolean {
    const { ring } = this;
    if (ring.length > this.bufferBytes) this.fault ??= 'rxTooLong';
    else if (ring.length === 0) this.fault ??= 'rxShort';
    else if (this.partsCount === this.partsMax) this.fault ??= 'rxMerge';
    if (this.fault !== undefined) return this.dropPart(buffer, this.fault);
    if (this.partsCount === 0) {
      this.frame.ranges.clear();
      this.frame.length = 0;
    }
    this.parts[this.partsCount++] = buffer;
    this.frame.ranges.push(this.host[buffer]!, ring.length);
    this.frame.length += ring.length;
    if ((ring.status & EOP) === 0) return false;
    this.endFrame();
    this.dropParts();
    return true;
  }

  /** Of a frame that is given up: what came before is of no use either, and the rest will not be. */
  private dropPart(buffer: number, fault: 'rxTooLong' | 'rxShort' | 'rxMerge'): boolean {
    this.dropParts();
    this.recycle(buffer);
    if ((this.ring.status & EOP) === 0) return false;
    this.fault = undefined;
    this.counters[fault]++;
    return true;
  }

  private endFrame(): void {
    const { frame, counters, ring } = this;
    const { status } = ring;
    if ((status & RXE) !== 0) counters.rxErrors++;
    else if (frame.length < ETHERNET) counters.rxShort++;
    else if (frame.length > LONGEST_FRAME) counters.rxTooLong++;
    else {
      const { offload } = frame;
      offload.clear();
      offload.flags = receivedFlags(status);
      offload.hashReport = hashReportOf(ring.types);
      offload.hashValue = offload.hashReport === 0 ? 0 : ring.hash >>> 0;
      offload.vlanTci = this.tags === 'report' && (status & VP) !== 0 ? ring.vlan : NO_TAG;
      if (hasBadChecksum(status)) counters.rxBadChecksum++;
      counters.rxFrames++;
      counters.rxBytes += frame.length;
      this.deliver(frame);
    }
  }

  private dropParts(): void {
    for (let i = 0; i < this.partsCount; i++) this.recycle(this.parts[i]!);
    this.partsCount = 0;
  }

  private recycle(buffer: number): void {
    this.waiting[this.waitingCount++] = buffer;
  }

  private place(arena: DmaArena, count: number): void {
    const perPage = PAGE / this.bufferBytes;
    for (let i = 0; i < count; i += perPage) {
      const page = arena.allocate(PAGE);
      for (let j = i; j < Math.min(i + perPage, count); j++) {
        const address = page + (j - i) * this.bufferBytes;
        this.addressLo[j] = (address % WORD) | 0;
        this.addressHi[j] = Math.floor(address / WORD);
        this.host[j] = arena.hostOf(address, this.bufferBytes);
        this.recycle(j);
      }
    }
  }
}
