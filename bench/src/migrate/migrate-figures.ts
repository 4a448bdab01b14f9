import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { VdpaHost } from '@ringwire/vdpa';
import { MOVING_WIRE_BYTES, MovingWire } from '@ringwire/vdpa/testing';
import type { Layout } from '../case-plan.js';
import { watchOthers } from '../cpu-share.js';
import type { Options } from '../options.js';
import { DISTURBED } from '../run-cases.js';
import { digits, median, percentile } from '../statistics.js';
import { GUEST_BYTES, type MoveFigures, MovingGuest } from './moving-guest.js';
import { DEVICES, movingPlaces } from './moving-places.js';

const HOST_BYTES = 0x800_0000;
const LAYOUTS: readonly Layout[] = ['split', 'packed'];
/** Between which places, by name of the row; the way back is a row of its own. */
const ROUTES = [
  { rows: ['A → B', 'B → A'], places: ['A', 'B'] },
  { rows: ['sim → vp_vdpa', 'vp_vdpa → sim'], places: ['sim', 'vp'] },
  { rows: ['A → shadow queue', 'shadow queue → A'], places: ['A', 'shadow'] },
] as const;
/** Moves of a row that are not measured, and those that are. */
const [WARM, MOVES] = [10, 100];
const NAME = 'migrate/downtime';

/** A guest of eight devices that moved there again and again. */
interface MigrateRow {
  /** Such as `A → B`. */
  readonly route: string;
  readonly layout: Layout;
  readonly moves: number;
  /** Median of the pre-copy rounds of a move, and of pages copied while the guest ran and while it stood still. */
  readonly rounds: number;
  readonly pages: number;
  readonly lastPages: number;
  /** ms from when the guest stood still until all its devices ran at the target. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Median of what of it this process used processors for, in ms. */
  readonly cpu: number;
}

export interface MigrateFigure {
  readonly name: typeof NAME;
  readonly queuePairs: number;
  readonly guestBytes: number;
  readonly rows: readonly MigrateRow[];
  /** Frames of all moves, those that never came back, and those that came twice. */
  readonly frames: number;
  readonly lost: number;
  readonly doubled: number;
  readonly otherCores: number | null;
  readonly problem: string | null;
}

/** In quick mode only when it is asked for by name. */
export const selectMigrate = ({ filter, quick }: Pick<Options, 'filter' | 'quick'>): readonly { name: string }[] =>
  (quick && filter === undefined) || (filter !== undefined && !filter.test(NAME)) ? [] : [{ name: NAME }];

/** @param moves of a row, measured; and behind how many that are not */
export function measureMigrate(moves: number = MOVES, warm: number = WARM): MigrateFigure {
  const others = watchOthers();
  const rows: MigrateRow[] = [];
  const faults = { frames: 0, lost: 0, doubled: 0 };
  let problem: string | null = null;
  try {
    for (const layout of LAYOUTS) rows.push(...rowsOf(layout, moves, warm, faults));
  } catch (error) {
    problem = (error as Error).message;
  }
  if (faults.lost + faults.doubled > 0) problem ??= `${faults.lost} frames lost, ${faults.doubled} doubled`;
  const otherCores = others() ?? null;
  return { name: NAME, queuePairs: DEVICES, guestBytes: GUEST_BYTES, rows, ...faults, otherCores, problem };
}

function rowsOf(
  layout: Layout,
  moves: number,
  warm: number,
  faults: { frames: number; lost: number; doubled: number },
): MigrateRow[] {
  const memory = HostMemory.create(HOST_BYTES + 2 * GUEST_BYTES);
  let clock = 0;
  const host: VdpaHost = { memory, pages: new PageAllocator(0, HOST_BYTES), now: () => clock++ };
  const wires = Array.from({ length: DEVICES }, () => new MovingWire(memory, host.pages.allocate(MOVING_WIRE_BYTES)));
  const places = movingPlaces(host, wires, layout);
  return ROUTES.flatMap(({ rows, places: [one, other] }) => {
    const guest = new MovingGuest(memory, HOST_BYTES, HOST_BYTES + GUEST_BYTES, wires, places[one], layout);
    const ways: readonly MoveFigures[][] = [[], []];
    for (let move = 0; move < 2 * (warm + moves); move++) {
      const figures = guest.move(places[move % 2 === 0 ? other : one]);
      if (move >= 2 * warm) ways[move % 2]!.push(figures);
    }
    guest.settle();
    const { frames, lost, doubled } = guest.faults;
    faults.frames += frames;
    faults.lost += lost;
    faults.doubled += doubled;
    guest.close();
    return ways.map((way, index) => rowOf(rows[index]!, layout, way));
  });
}

function rowOf(route: string, layout: Layout, moves: readonly MoveFigures[]): MigrateRow {
  const sorted = Float64Array.from(moves, ({ downtime }) => downtime).sort();
  return {
    route,
    layout,
    moves: moves.length,
    rounds: median(moves.map(({ rounds }) => rounds)),
    pages: median(moves.map(({ pages }) => pages)),
    lastPages: median(moves.map(({ lastPages }) => lastPages)),
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    max: percentile(sorted, 1),
    cpu: median(moves.map(({ cpu }) => cpu)),
  };
}

/** The figures as a table for people. */
export function formatMigrate({ rows, queuePairs, otherCores, problem, ...checks }: MigrateFigure): string {
  const head = line(
    `${NAME}, ${queuePairs} queue pairs`,
    'rounds',
    'pages',
    'last',
    'p50 ms',
    'p99 ms',
    'max ms',
    'cpu ms',
  );
  const lines = rows.map(({ route, layout, rounds, pages, lastPages, p50, p99, max, cpu }) =>
    line(
      `  ${route}, ${layout}`,
      `${rounds}`,
      `${pages}`,
      `${lastPages}`,
      digits(p50),
      digits(p99),
      digits(max),
      digits(cpu),
    ),
  );
  const { frames, lost, doubled } = checks;
  const doubt = (otherCores ?? 0) > DISTURBED ? `    ! others used ${otherCores!.toFixed(1)} cores\n` : '';
  const failed = problem === null ? '' : `    FAILED: ${problem}\n`;
  return `${head}${lines.join('')}    ${frames} frames, ${lost} lost, ${doubled} doubled\n${doubt}${failed}`;
}

const line = (name: string, ...columns: readonly string[]): string =>
  `  ${name.padEnd(36)}${columns.map((column) => column.padStart(9)).join('')}\n`;

/** What the columns are. */
export const MIGRATE_TEXT: string =
  'migrate: a guest of 8 MiB with eight devices of a queue pair each, all under traffic, moves with all of them at once, each by a ' +
  'stream of its own. A and B are vendors’ cards, a shadow queue has rings of the other format behind it. last: pages copied while ' +
  'the guest stands still, which it does from then until its last device runs; source and target share one thread; cpu: processor time in it, the median';
