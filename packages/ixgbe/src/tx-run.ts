import { ACCESS, type HostMemory, RangeList } from '@ringwire/guest-memory';
import { FrameRun } from '@ringwire/net-backend';
import { TX_CMD, TX_OLINFO } from '@ringwire/nic-spec/ixgbe';
import type { DescriptorRing } from './descriptor-ring.js';
import type { DmaBurst } from './dma-burst.js';

const { READ } = ACCESS;
const { DEXT, DTYP_MASK, DTYP_DATA, DTALEN_MASK, EOP, RS, TSE, VLE } = TX_CMD;
/** A data descriptor that is a whole packet, and asks for nothing. */
const PLAIN_MASK = DEXT | DTYP_MASK | EOP | VLE | TSE;
const PLAIN = DEXT | DTYP_DATA | EOP;
const ASKS = TX_OLINFO.IXSM | TX_OLINFO.TXSM;
/** Frames handed on together. */
const RUN_MOST = 64;
const SHORTEST = 60;
const LONGEST = 15_872;

/** Packets that can be handed on together: what nearly every packet is. */
export class TxRun {
  readonly run: FrameRun;
  /** By frame of the run: one more than the word of a descriptor whose status is to be reported, or 0. */
  readonly reports: Uint32Array = new Uint32Array(RUN_MOST);
  private readonly memory: HostMemory;
  private readonly dma: DmaBurst;

  /** @param pair the queue that they come from */
  constructor(dma: DmaBurst, pair: number) {
    this.dma = dma;
    this.memory = dma.space.memory;
    this.run = new FrameRun(this.memory);
    this.run.pair = pair;
    this.run.ranges = new RangeList(RUN_MOST);
  }

  /**
   * Find packets from the head on that are one descriptor each and ask for nothing: they make {@link run}.
   * @param ring sound, in a burst
   * @returns how many, at most `most`
   */
  find(ring: DescriptorRing, most: number): number {
    const { run, reports, dma } = this;
    const { u32 } = this.memory;
    const { ranges } = run;
    ranges.clear();
    const end = Math.min(most, RUN_MOST, ring.filled);
    let bytes = 0;
    let count = 0;
    for (let index = ring.head; count < end; count = (count + 1) | 0) {
      const at = ring.locate(index);
      if (at < 0) break;
      const word = at >>> 2;
      const command = u32[word + 2]!;
      const options = u32[word + 3]!;
      const length = command & DTALEN_MASK;
      if ((command & PLAIN_MASK) !== PLAIN || (options & ASKS) !== 0) break;
      if (length < SHORTEST || length > LONGEST || options >>> TX_OLINFO.PAYLEN_SHIFT !== length) break;
      const host = dma.reach(u32[word]! | 0, u32[word + 1]! | 0, length, READ);
      if (host < 0) break;
      ranges.push(host, length);
      reports[count] = (command & RS) !== 0 ? word + 1 : 0;
      bytes = (bytes + length) | 0;
      index = ring.behind(index, 1);
    }
    run.first = 0;
    run.count = count;
    run.skip = 0;
    run.bytes = bytes;
    return count;
  }
}
