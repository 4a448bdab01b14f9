import { PF_STAT } from '@ringwire/nic-spec/ixgbe';
import type { CardStatistics } from './statistics.js';

const WORD = 0x1_0000_0000;
const HIGH_MASK = 0xf;

/** The counter behind a statistics register, and which half of it the register is. */
interface Source {
  readonly value: (counts: CardStatistics) => number;
  readonly half?: 'low' | 'high';
}

const sized = (index: number): Source => ({ value: ({ rx }) => rx.sizes[index]! });

const SOURCES = new Map<number, Source>([
  [PF_STAT.GPRC, { value: ({ rx }) => rx.frames }],
  [PF_STAT.TPR, { value: ({ rx, missed }) => rx.frames + missed }],
  [PF_STAT.GORC_L, { value: ({ rx }) => rx.bytes, half: 'low' }],
  [PF_STAT.GORC_H, { value: ({ rx }) => rx.bytes, half: 'high' }],
  [PF_STAT.TOR_L, { value: ({ rx }) => rx.bytes, half: 'low' }],
  [PF_STAT.TOR_H, { value: ({ rx }) => rx.bytes, half: 'high' }],
  [PF_STAT.BPRC, { value: ({ rx }) => rx.broadcast }],
  [PF_STAT.MPRC, { value: ({ rx }) => rx.multicast }],
  [PF_STAT.PRC64, sized(0)],
  [PF_STAT.PRC127, sized(1)],
  [PF_STAT.PRC255, sized(2)],
  [PF_STAT.PRC511, sized(3)],
  [PF_STAT.PRC1023, sized(4)],
  [PF_STAT.PRC1522, sized(5)],
  [PF_STAT.MPC, { value: ({ missed }) => missed }],
  [PF_STAT.ROC, { value: ({ oversize }) => oversize }],
  [PF_STAT.RUC, { value: ({ undersize }) => undersize }],
  [PF_STAT.GPTC, { value: ({ txFrames }) => txFrames }],
  [PF_STAT.TPT, { value: ({ txFrames }) => txFrames }],
  [PF_STAT.GOTC_L, { value: ({ txBytes }) => txBytes, half: 'low' }],
  [PF_STAT.GOTC_H, { value: ({ txBytes }) => txBytes, half: 'high' }],
]);

/** Statistics registers of the physical function: reading clears them, the upper half of two. 82599 datasheet §8.2.3.23 */
export class StatisticsRegisters {
  private readonly counts: CardStatistics;
  /** What each counter was when it was cleared. */
  private readonly cleared = new Map<Source['value'], number>();

  constructor(counts: CardStatistics) {
    this.counts = counts;
  }

  /** Registers without a counter read as 0: nothing of the kind happens here. */
  read(at: number): number {
    const source = SOURCES.get(at);
    if (source === undefined) return 0;
    const key = keyOf(at, source);
    const value = source.value(this.counts);
    const since = value - (this.cleared.get(key) ?? 0);
    if (source.half === 'low') return since % WORD;
    this.cleared.set(key, value);
    return source.half === 'high' ? Math.floor(since / WORD) & HIGH_MASK : Math.min(since, WORD - 1);
  }
}

/** Both halves are cleared together. */
function keyOf(at: number, source: Source): Source['value'] {
  return source.half === 'low' ? SOURCES.get(at + 4)!.value : source.value;
}
