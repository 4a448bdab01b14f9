import type { StatementState } from './matrix.js';

/** How many statements of an area are in which state. */
interface Tally {
  proven: number;
  notApplicable: number;
  open: number;
}

/** Tallies per area, in the specification's order. */
function tally(rows: readonly StatementState[]): Map<string, Tally> {
  const areas = new Map<string, Tally>();
  for (const { statement, state } of rows) {
    let count = areas.get(statement.area);
    if (count === undefined) {
      count = { proven: 0, notApplicable: 0, open: 0 };
      areas.set(statement.area, count);
    }
    count[state]++;
  }
  return areas;
}

/** Proven ones among the applicable, rounded down: 100 means all of them. Empty when none applies. */
function percent({ proven, open }: Tally): string {
  return proven + open === 0 ? '' : String(Math.floor((proven / (proven + open)) * 100));
}

/** One line per area, and their sum where there are several. */
export function formatTable(rows: readonly StatementState[]): string {
  const areas = tally(rows);
  const all: Tally = { proven: 0, notApplicable: 0, open: 0 };
  const lines = [['area', 'statements', 'proven', 'not applicable', 'open', 'percent']];
  const addLine = (name: string, count: Tally): void => {
    const { proven, notApplicable, open } = count;
    const total = proven + notApplicable + open;
    lines.push([name, String(total), String(proven), String(notApplicable), String(open), percent(count)]);
  };
  for (const [area, count] of areas) {
    addLine(area, count);
    all.proven += count.proven;
    all.notApplicable += count.notApplicable;
    all.open += count.open;
  }
  if (areas.size > 1) addLine('all', all);
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const cell = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!);
  return `${lines.map((line) => line.map(cell).join('  ').trimEnd()).join('\n')}\n`;
}

/** The open statements, each with its section, gist, and the test in the way if there is one. */
export function formatOpen(rows: readonly StatementState[]): string {
  let text = '';
  for (const { statement, state, tests, reason } of rows) {
    if (state !== 'open') continue;
    text += `${statement.id}  §${statement.section}  the ${statement.role} ${statement.level}: ${statement.gist}\n`;
    if (tests.length > 0) text += `  ${reason}\n`;
  }
  return text;
}

/** The matrix as JSON text, for programs. */
export function formatJson(rows: readonly StatementState[]): string {
  const statements = rows.map(({ statement, state, tests, reason }) => ({
    id: statement.id,
    state,
    tests,
    ...(reason === undefined ? {} : { reason }),
    area: statement.area,
    role: statement.role,
    level: statement.level,
    section: statement.section,
    gist: statement.gist,
  }));
  return `${JSON.stringify({ areas: Object.fromEntries(tally(rows)), statements }, null, 2)}\n`;
}

/** One sentence per required area that still has open statements. */
export function unmetAreas(rows: readonly StatementState[], required: readonly string[]): string[] {
  const areas = tally(rows);
  return required
    .filter((area) => areas.get(area)!.open > 0)
    .map((area) => `area ${area} has ${areas.get(area)!.open} open statements`);
}
