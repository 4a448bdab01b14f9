import { type NetStatsType, VIRTIO_NET_STATS_FIELDS } from '@ringwire/virtio-spec/net';

const RX_TYPES = ['RX_BASIC', 'RX_CSUM', 'RX_GSO', 'RX_SPEED'] as const;
const TX_TYPES = ['TX_BASIC', 'TX_CSUM', 'TX_GSO', 'TX_SPEED'] as const;

type CounterOf<T extends NetStatsType> = (typeof VIRTIO_NET_STATS_FIELDS)[T][number];

/** Where each counter of a queue is: number of 64-bit words before it. */
export const RX_STAT: Readonly<Record<CounterOf<(typeof RX_TYPES)[number]>, number>> = placesOf(RX_TYPES);
/** {@link RX_STAT} of a transmit queue. */
export const TX_STAT: Readonly<Record<CounterOf<(typeof TX_TYPES)[number]>, number>> = placesOf(TX_TYPES);
/** {@link RX_STAT} of a control queue. */
export const CVQ_STAT: Readonly<Record<CounterOf<'CVQ'>, number>> = placesOf(['CVQ']);

function placesOf<T extends NetStatsType>(types: readonly T[]): Record<CounterOf<T>, number> {
  const names = types.flatMap((type): readonly string[] => VIRTIO_NET_STATS_FIELDS[type]);
  return Object.fromEntries(names.map((name, at) => [name, at])) as Record<CounterOf<T>, number>;
}

/**
 * Counters of one queue as the driver asks for them: 64 bits each, low word first, so that they never lose a packet and
 * wrap as virtio 1.4 §5.1.9.5.11.12 wants.
 */
export class Statistics {
  readonly words: Uint32Array;

  constructor(counters: number) {
    this.words = new Uint32Array(counters * 2);
  }

  /** @param counter of `RX_STAT`, `TX_STAT` or `CVQ_STAT`; @param by below 2^32 */
  add(counter: number, by: number): void {
    const words = this.words;
    const low = words[counter * 2]! + by;
    words[counter * 2] = low;
    if (low > 0xffff_ffff) words[counter * 2 + 1]!++;
  }

  /** Add another thread's counters of the same queue. @param at of the first word in `from` */
  addWords(from: Int32Array, at: number): void {
    const { words } = this;
    for (let low = 0; low < words.length; low += 2) {
      const sum = words[low]! + (from[at + low]! >>> 0);
      words[low] = sum;
      words[low + 1] = words[low + 1]! + (from[at + low + 1]! >>> 0) + (sum > 0xffff_ffff ? 1 : 0);
    }
  }

  /** For people and tests: exact below 2^53. */
  get(counter: number): number {
    return this.words[counter * 2 + 1]! * 0x1_0000_0000 + this.words[counter * 2]!;
  }

  clear(): void {
    this.words.fill(0);
  }
}

export const newRxStatistics = (): Statistics => new Statistics(Object.keys(RX_STAT).length);
export const newTxStatistics = (): Statistics => new Statistics(Object.keys(TX_STAT).length);
export const newCvqStatistics = (): Statistics => new Statistics(Object.keys(CVQ_STAT).length);
