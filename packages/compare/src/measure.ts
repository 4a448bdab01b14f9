import { moveObstacles } from '@ringwire/vdpa';
import { VirtioError } from '@ringwire/virtio-spec';
import { type Architecture, isObstacles, type Rings } from './architecture.js';
import { type Counts, hostCost, PRICES, wayCost } from './costs.js';
import type { Ledger } from './ledger.js';
import { type Move, moveGuest } from './move-guest.js';
import { ringTraffic } from './ring-traffic.js';
import { type Timing, timeMachines } from './timing.js';
import { Traffic } from './traffic.js';

const HERE = 'compareArchitectures';
const FRAMES = 50_000;
const ROUNDS = 9;
/** Of which everything is counted and compared, byte by byte. */
const COUNTED = 2048;
const WARM_UP = 256;
/** Moves, each with machines of its own. */
const MOVES = 5;
/** Descriptors of every ring here. */
const RING_SIZE = 256;
/** A frame goes through a ring of its sender's and one of its receiver's. */
const RINGS_OF_A_WAY = 2;

/** How much is measured, of what. */
export interface CompareOptions {
  /** Frames in each measured round; 50000 unless given. */
  readonly frames?: number;
  /** Measured rounds; 9 unless given. */
  readonly rounds?: number;
  /** Bytes of a frame, 60 to 1514; 60 unless given: 64 with its check sequence. */
  readonly size?: number;
  readonly rings?: Rings;
  /** Called before each piece of work: what it is, and how much of all is done, 0 to 1. */
  readonly progress?: (what: string, done: number) => void;
}

/** What one architecture costs: per frame where it says nothing else. */
export interface Comparison extends Counts, Timing {
  readonly name: string;
  readonly title: string;
  readonly way: Architecture['way'];
  /** Pieces of guests' memory that devices read or write: buffers as counted, rings as replayed. */
  readonly dmaTransactions: number;
  readonly dmaBytes: number;
  /** Cache lines that one side writes and the other one reads, of rings and of payload. */
  readonly cacheLines: number;
  /** ns of the host's processors, and with the guests', at {@link PRICES} for what is counted. */
  readonly pricedHostNs: number;
  readonly pricedNs: number;
  /** Frames of those counted that did not arrive, in their order and as they were sent. */
  readonly lost: number;
  /** Of every byte of those frames: the same for all architectures. */
  readonly digest: string;
  readonly guestDrivers: readonly string[];
  /** Bytes of guests' memory that the host cannot take back while they run. */
  readonly pinnedBytes: number;
  readonly migratable: boolean;
  /** Why not, reason by reason. */
  readonly blockers: readonly string[];
  /** Of five moves of a guest under traffic the one of median downtime, with the losses of all; null where none begins. */
  readonly move: Move | null;
}

/** @throws VirtioError for options that cannot be; Error for a frame that did not arrive */
export function compareArchitectures(
  architectures: readonly Architecture[],
  options: CompareOptions = {},
): Comparison[] {
  const { frames = FRAMES, rounds = ROUNDS, size = 60, rings = 'split', progress = () => {} } = options;
  for (const [field, value] of Object.entries({ frames, rounds }))
    if (!Number.isInteger(value) || value < 1) throw new VirtioError(field, value, '1 or more', HERE);
  if (!Number.isInteger(size) || size < 60 || size > 1514)
    throw new VirtioError('size', size, '60 to 1514 bytes', HERE);
  const steps = 2 * architectures.length + rounds;
  let done = 0;
  const step = (what: string): void => progress(what, done++ / steps);
  const counted = architectures.map((architecture) => {
    step(`${architecture.name}: counting`);
    return count(architecture, size, rings);
  });
  const timings = timeMachines(architectures, { frames, rounds, size, rings, step });
  return architectures.map((architecture, at) => {
    step(`${architecture.name}: moving a guest`);
    const { name, title, way, guestDrivers } = architecture;
    const { counts, ...rest } = counted[at]!;
    const priced = { pricedHostNs: hostCost(counts, PRICES), pricedNs: wayCost(counts, PRICES) };
    return {
      ...{ name, title, way, ...counts, ...rest, ...priced, ...timings[at]!, guestDrivers },
      ...moved(architecture, size, rings),
    };
  });
}

function count(architecture: Architecture, size: number, rings: Rings) {
  const machine = architecture.open(rings, true);
  const traffic = new Traffic(machine, size, true, WARM_UP + COUNTED + 1);
  // The switch learns both addresses, and rings are in their swing.
  traffic.begin();
  traffic.send(WARM_UP);
  const before = { ...machine.ledger, bursts: traffic.bursts };
  traffic.send(COUNTED);
  const after = { ...machine.ledger, bursts: traffic.bursts };
  const per = (field: keyof Ledger | 'bursts'): number => (after[field] - before[field]) / COUNTED;
  // A ring of a card's descriptors goes out and comes back in its place, as a packed one does.
  const layout = architecture.guestDrivers.includes('virtio-net') ? rings : 'packed';
  const ring = ringTraffic({ layout, size: RING_SIZE, burst: Math.round(1 / per('bursts')) });
  return {
    counts: {
      traps: per('traps'),
      kicks: per('kicks'),
      interrupts: per('interrupts'),
      injections: per('injections'),
      copies: per('copies'),
      copiedBytes: per('copiedBytes'),
    },
    dmaTransactions: per('buffers') + RINGS_OF_A_WAY * ring.transactions,
    // What the sender's device read the receiver's wrote: every byte of it was compared.
    dmaBytes: RINGS_OF_A_WAY * (per('readBytes') + ring.bytes),
    cacheLines: RINGS_OF_A_WAY * (per('readLines') + ring.lines),
    lost: traffic.lost + traffic.wrong,
    digest: traffic.digest.toString(16).padStart(8, '0'),
    pinnedBytes: machine.pinnedBytes,
  };
}

function moved(
  architecture: Architecture,
  size: number,
  rings: Rings,
): Pick<Comparison, 'migratable' | 'blockers' | 'move'> {
  const machine = architecture.openMove(rings);
  if (isObstacles(machine)) return { migratable: false, blockers: machine.obstacles, move: null };
  const obstacles = moveObstacles(machine.source, machine.target, machine.places(), true);
  if (obstacles.length > 0) return { migratable: false, blockers: obstacles, move: null };
  const moves = [moveGuest(machine, size)];
  while (moves.length < MOVES && moves[0]!.hasMoved) {
    const again = architecture.openMove(rings);
    if (!isObstacles(again)) moves.push(moveGuest(again, size));
  }
  const move = typical(moves);
  return { migratable: move.hasMoved, blockers: move.problem === undefined ? [] : [move.problem], move };
}

/** The move of median downtime, with what was lost in all of them. */
function typical(moves: readonly Move[]): Move {
  const sorted = [...moves].sort((a, b) => a.downtimeMs - b.downtimeMs);
  const all = (of: (move: Move) => number): number => moves.reduce((sum, move) => sum + of(move), 0);
  return {
    ...sorted[sorted.length >> 1]!,
    hasMoved: moves.every(({ hasMoved }) => hasMoved),
    lost: all(({ lost }) => lost),
    repeated: all(({ repeated }) => repeated),
    wrong: all(({ wrong }) => wrong),
  };
}
