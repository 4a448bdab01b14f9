import type { Comparison } from './measure.js';

/** Three kinds of ways, side by side: what each means for whoever runs guests. */
export interface Contrast {
  readonly columns: readonly string[];
  readonly rows: readonly { readonly title: string; readonly cells: readonly string[] }[];
}

const MIB = 2 ** 20;
const WAYS: readonly { readonly way: Comparison['way']; readonly title: string }[] = [
  { way: 'host', title: 'through the host' },
  { way: 'vendor', title: 'a vendor’s function' },
  { way: 'standard', title: 'a standard function' },
];

type Judge = (rows: readonly Comparison[]) => string;

/** What is judged, and how: each cell follows from what was counted, measured and tried. */
const JUDGED: readonly { readonly title: string; readonly of: Judge }[] = [
  { title: 'performance', of: performanceOf },
  { title: 'host’s processors', of: processorsOf },
  { title: 'moving a running guest', of: mobilityOf },
  { title: 'management of guests', of: managementOf },
  { title: 'differences of vendors', of: differencesOf },
  { title: 'over-committed memory', of: memoryOf },
];

/** Each kind of way that any of these architectures goes, judged by all of them that do. */
export function contrastOf(rows: readonly Comparison[]): Contrast {
  const ways = WAYS.map(({ way, title }) => ({ title, rows: rows.filter((row) => row.way === way) })).filter(
    ({ rows: own }) => own.length > 0,
  );
  return {
    columns: ways.map(({ title }) => title),
    rows: JUDGED.map(({ title, of }) => ({ title, cells: ways.map(({ rows: own }) => of(own)) })),
  };
}

function performanceOf(rows: readonly Comparison[]): string {
  const busy = rows.filter(({ pricedHostNs }) => pricedHostNs > 0);
  if (busy.length === 0) return 'best case: what the card does';
  return `limited by the processor: ${rangeOf(busy.map(({ pricedHostNs }) => pricedHostNs))} ns*`;
}

function processorsOf(rows: readonly Comparison[]): string {
  const most = (of: (row: Comparison) => number): number => Math.max(...rows.map(of));
  const [traps, copies] = [most((row) => row.traps), most((row) => row.copies)];
  if (traps + copies === 0) return 'not on the way';
  return `up to ${traps.toFixed(2)} traps and ${copies.toFixed(0)} copies per frame`;
}

function mobilityOf(rows: readonly Comparison[]): string {
  const moves = rows.flatMap(({ move, migratable }) => (move !== null && migratable ? [move] : []));
  if (moves.length === 0) return `does not move: ${rows[0]!.blockers.length} reasons`;
  const lost = moves.reduce((sum, move) => sum + move.lost + move.repeated + move.wrong, 0);
  const share = moves.length === rows.length ? 'moves' : `${moves.length} of ${rows.length} move`;
  return `${share}: ${rangeOf(moves.map(({ downtimeMs }) => downtimeMs))} ms, ${lost} frames lost`;
}

function managementOf(rows: readonly Comparison[]): string {
  const most = Math.max(...rows.map(({ guestDrivers }) => guestDrivers.length));
  return most === 1 ? 'one driver, whatever the card' : `${most} drivers for ${most} vendors`;
}

function differencesOf(rows: readonly Comparison[]): string {
  if (rows.every(({ pinnedBytes }) => pinnedBytes === 0)) return 'hidden by the host';
  if (rows.some(({ guestDrivers }) => guestDrivers.length > 1)) return 'a card’s own, which ties the guest';
  const vendors = new Set(rows.flatMap(({ move }) => move?.vendors ?? []));
  const names = [...vendors].sort((a, b) => a - b).map((vendor) => vendor.toString(16).padStart(4, '0'));
  return `behind one data plane: ${names.join(', ')}`;
}

function memoryOf(rows: readonly Comparison[]): string {
  const most = Math.max(...rows.map(({ pinnedBytes }) => pinnedBytes));
  return most === 0 ? 'the host may take pages back' : `${most / MIB} MiB pinned, all that guests have`;
}

function rangeOf(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(0));
  return least === most ? `${least}` : `${least} to ${most}`;
}
