import type { Comparison } from './measure.js';

/** One figure of an architecture, for people. */
export interface Column {
  readonly title: string;
  /** What it is, and in which unit. */
  readonly about: string;
  readonly cell: (row: Comparison) => string;
}

const whole = (value: number): string => value.toFixed(0);
const hundredths = (value: number): string => value.toFixed(2);
const tenths = (value: number): string => value.toFixed(1);

export const NAME: Column = { title: 'architecture', about: 'the way from guest to guest', cell: ({ name }) => name };

/** What is counted where it happens, for each frame: the same on every machine. */
export const COUNTED: readonly Column[] = [
  {
    title: 'traps',
    about: 'register accesses of guests that end in software of the host, which are VM exits',
    cell: ({ traps }) => hundredths(traps),
  },
  { title: 'kicks', about: 'writes to doorbells, wherever they end', cell: ({ kicks }) => hundredths(kicks) },
  { title: 'interrupts', about: 'interrupts that guests took', cell: ({ interrupts }) => hundredths(interrupts) },
  { title: 'copies', about: 'copies of the frame by processors of the host', cell: ({ copies }) => hundredths(copies) },
  { title: 'bytes copied', about: 'bytes of these copies', cell: ({ copiedBytes }) => whole(copiedBytes) },
  {
    title: 'DMA',
    about: 'pieces of guests’ memory, each in one go, that devices read or write, a card or what stands in for one',
    cell: ({ dmaTransactions }) => hundredths(dmaTransactions),
  },
  { title: 'DMA bytes', about: 'bytes of these pieces', cell: ({ dmaBytes }) => whole(dmaBytes) },
  {
    title: 'lines',
    about: 'cache lines of rings and payload that one side writes and the other one reads',
    cell: ({ cacheLines }) => hundredths(cacheLines),
  },
  {
    title: 'host ns*',
    about: 'ns of the host’s processors for what is counted, at assumed prices',
    cell: ({ pricedHostNs }) => whole(pricedHostNs),
  },
  {
    title: 'ns*',
    about: 'the same with what guests do: doorbells, and interrupts that they take',
    cell: ({ pricedNs }) => whole(pricedNs),
  },
];

/** What the clock says here, where guests, host and cards share one thread. */
export const MEASURED: readonly Column[] = [
  {
    title: 'frames/s',
    about: 'frames per second, cards’ work included, which is software here; median of the rounds',
    cell: ({ framesPerSecond }) => whole(framesPerSecond),
  },
  {
    title: '±',
    about: 'slowest less fastest round, in percent of the median',
    cell: ({ spread }) => `${whole(spread)} %`,
  },
  { title: 'ns', about: 'ns of guests and host for a frame', cell: ({ nsPerFrame }) => whole(nsPerFrame) },
  {
    title: 'host ns',
    about: 'of these, ns inside software of the host: traps, device model, switch, copies',
    cell: ({ hostNsPerFrame }) => whole(hostNsPerFrame),
  },
  {
    title: 'card ns',
    about: 'ns inside what is a card in earnest, and so no processor’s',
    cell: ({ cardNsPerFrame }) => whole(cardNsPerFrame),
  },
  {
    title: 'p50 µs',
    about: 'µs of one frame there and one back, one at a time, median',
    cell: ({ latencyP50 }) => tenths(latencyP50),
  },
  { title: 'p99 µs', about: 'the same, 99 of 100 are as fast', cell: ({ latencyP99 }) => tenths(latencyP99) },
  {
    title: 'drivers',
    about: 'drivers that a guest needs, to run on the cards of both vendors here',
    cell: ({ guestDrivers }) => `${guestDrivers.length}`,
  },
  {
    title: 'pinned',
    about: 'MiB of the two guests’ memory that the host cannot take back while they run',
    cell: ({ pinnedBytes }) => whole(pinnedBytes / 2 ** 20),
  },
  {
    title: 'moves',
    about: 'whether a running guest went to another host, with another vendor’s card where there are cards',
    cell: ({ migratable }) => (migratable ? 'yes' : 'no'),
  },
  {
    title: 'downtime ms',
    about: 'ms for which the guest that moved stood still; n/a where it does not move',
    cell: ({ move }) => (move === null ? 'n/a' : tenths(move.downtimeMs)),
  },
  {
    title: 'lost',
    about: 'frames to that guest, sent all the while, that never came, or came twice or damaged',
    cell: ({ move }) => (move === null ? 'n/a' : `${move.lost + move.repeated + move.wrong}`),
  },
];
