import { PF_STAT } from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCard } from './card.js';

const WORD = 0x1_0000_0000;
const HIGH_MASK = 0xf;

/** The counter behind a statistics register, and which half of it the register is. */
interface Source {
  readonly value: (card: IxgbeCard) => number;
  readonly half?: 'low' | 'high';
}

const sized = (index: number): Source => ({ value: ({ statistics }) => statistics.rx.sizes[index]! });

const SOURCES = new Map<number, Source>([
  [PF_STAT.GPRC, { value: ({ statistics }) => statistics.rx.frames }],
  [PF_STAT.TPR, { value: ({ statistics }) => statistics.rx.frames + statistics.missed }],
  [PF_STAT.GORC_L, { value: ({ statistics }) => statistics.rx.bytes, half: 'low' }],
  [PF_STAT.GORC_H, { value: ({ statistics }) => statistics.rx.bytes, half: 'high' }],
  [PF_STAT.TOR_L, { value: ({ statistics }) => statistics.rx.bytes, half: 'low' }],
  [PF_STAT.TOR_H, { value: ({ statistics }) => statistics.rx.bytes, half: 'high' }],
  [PF_STAT.BPRC, { value: ({ statistics }) => statistics.rx.broadcast }],
  [PF_STAT.MPRC, { value: ({ statistics }) => statistics.rx.multicast }],
  [PF_STAT.PRC64, sized(0)],
  [PF_STAT.PRC127, sized(1)],
  [PF_STAT.PRC255, sized(2)],
  [PF_STAT.PRC511, sized(3)],
  [PF_STAT.PRC1023, sized(4)],
  [PF_STAT.PRC1522, sized(5)],
  [PF_STAT.MPC, { value: ({ statistics }) => statistics.missed }],
  [PF_STAT.ROC, { value: ({ statistics }) => statistics.oversize }],
  [PF_STAT.RUC, { value: ({ statistics }) => statistics.undersize }],
  [PF_STAT.LXOFFTXC, { value: ({ wire }) => (wire?.counters.pausesSent ?? 0) - (wire?.counters.resumesSent ?? 0) }],
  [PF_STAT.LXONTXC, { value: ({ wire }) => wire?.counters.resumesSent ?? 0 }],
  [
    PF_STAT.LXOFFRXCNT,
    { value: ({ wire }) => (wire?.counters.pausesReceived ?? 0) - (wire?.counters.resumesReceived ?? 0) },
  ],
  [PF_STAT.LXONRXCNT, { value: ({ wire }) => wire?.counters.resumesReceived ?? 0 }],
  [PF_STAT.SSVPC, { value: ({ spoofed }) => spoofed }],
  [PF_STAT.GPTC, { value: ({ statistics }) => statistics.txFrames }],
  [PF_STAT.TPT, { value: ({ statistics }) => statistics.txFrames }],
  [PF_STAT.GOTC_L, { value: ({ statistics }) => statistics.txBytes, half: 'low' }],
  [PF_STAT.GOTC_H, { value: ({ statistics }) => statistics.txBytes, half: 'high' }],
]);

/** Statistics registers of the physical function: reading clears them, the upper half of two. 82599 datasheet §8.2.3.23 */
export class StatisticsRegisters {
  private readonly card: IxgbeCard;
  /** What each counter was when it was cleared. */
  private readonly cleared = new Map<Source['value'], number>();

  constructor(card: IxgbeCard) {
    this.card = card;
  }

  /** Registers without a counter read as 0: nothing of the kind happens here. */
  read(at: number): number {
    const source = SOURCES.get(at);
    if (source === undefined) return 0;
    const key = keyOf(at, source);
    const value = source.value(this.card);
    // What a function that went had counted is gone with it.
    const since = Math.max(0, value - (this.cleared.get(key) ?? 0));
    if (source.half === 'low') return since % WORD;
    this.cleared.set(key, value);
    return source.half === 'high' ? Math.floor(since / WORD) & HIGH_MASK : Math.min(since, WORD - 1);
  }
}

/** Both halves are cleared together. */
function keyOf(at: number, source: Source): Source['value'] {
  return source.half === 'low' ? SOURCES.get(at + 4)!.value : source.value;
}
