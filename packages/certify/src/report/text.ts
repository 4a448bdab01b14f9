import type { CellResult, Certificate, StatementState } from '../certificate.js';
import type { Finding } from '../verdict.js';
import { findingLine } from './finding-line.js';
import { groupIds, idsIn } from './group-ids.js';

const WIDTH = 120;

/** One cell in a line. */
export function cellLine(cell: CellResult): string {
  const { name, outcome, because, scenarios } = cell;
  const skipped = scenarios.filter((one) => one.outcome === 'skipped').length;
  if (because !== null) return `${outcome.padEnd(8)}${name}: skipped, because ${because}`;
  const counts = (['kept', 'broken', 'not reached'] as const).map((state) => `${idsIn(cell, state).length} ${state}`);
  return `${outcome.padEnd(8)}${name.padEnd(34)}${scenarios.length - skipped} scenarios, ${skipped} skipped; statements: ${counts.join(', ')}`;
}

/** What was found, each statement once; and which statements were looked at where. For a terminal. */
export function certificateText(certificate: Certificate): string {
  const { driver, cells, passed } = certificate;
  const ran = cells.filter(({ because }) => because === null);
  const failing = cells.filter(({ outcome }) => outcome === 'failed').length;
  const words = passed
    ? `passes ${ran.length} of ${cells.length} cells, the others were skipped`
    : `fails ${failing} of ${cells.length} cells`;
  return [
    ...found(cells),
    ...skippedScenarios(ran),
    ...coverage(ran),
    '',
    `${driver} ${passed && ran.length === cells.length ? `passes all ${ran.length} cells` : words}`,
    '',
  ].join('\n');
}

/** Findings by statement, with the places where they came about. */
function found(cells: readonly CellResult[]): string[] {
  const first = new Map<string, { finding: Finding; places: string[] }>();
  for (const { name, scenarios } of cells)
    for (const { name: scenario, findings } of scenarios)
      for (const finding of findings) {
        const known = first.get(finding.id);
        const place = `${name}: ${scenario}`;
        if (known === undefined) first.set(finding.id, { finding, places: [place] });
        else known.places.push(place);
      }
  return [...first.values()].flatMap(({ finding, places }) => [
    `${finding.fails ? 'broken' : 'advice'}  ${findingLine(finding)}`,
    `        in ${places[0]}${places.length > 1 ? `, and ${places.length - 1} more` : ''}`,
  ]);
}

/** Scenarios that did not run, by reason. */
function skippedScenarios(cells: readonly CellResult[]): string[] {
  const reasons = new Map<string, Set<string>>();
  for (const { name, scenarios } of cells)
    for (const { name: scenario, outcome, because } of scenarios) {
      if (outcome !== 'skipped') continue;
      const key = `${scenario}: skipped, because ${because}`;
      reasons.set(key, (reasons.get(key) ?? new Set()).add(name));
    }
  return [...reasons].map(
    ([reason, where]) => `${reason} (${where.size === 1 ? [...where][0] : `${where.size} cells`})`,
  );
}

/** Statements that stand alike in all cells first, then what is different where. */
function coverage(cells: readonly CellResult[]): string[] {
  if (cells.length === 0) return [];
  const states = new Map<string, Map<StatementState, string[]>>();
  for (const { name, statements } of cells)
    for (const [id, state] of Object.entries(statements)) {
      const of = states.get(id) ?? new Map<StatementState, string[]>();
      of.set(state, [...(of.get(state) ?? []), name]);
      states.set(id, of);
    }
  const alike = (state: StatementState): string[] =>
    [...states].flatMap(([id, of]) => (of.size === 1 && of.has(state) ? [id] : []));
  const lines: string[] = [''];
  for (const [state, title] of [
    ['kept', 'Kept in every cell that they are about'],
    ['not reached', 'Not reached in any cell'],
  ] as const)
    lines.push(`${title}:`, ...wrapped(groupIds(alike(state))));
  const mixed = [...states].filter(([, of]) => of.size > 1);
  const bySet = new Map<string, string[]>();
  for (const [id, of] of mixed) {
    const key = (of.get('not reached') ?? []).join('; ');
    bySet.set(key, [...(bySet.get(key) ?? []), id]);
  }
  bySet.delete('');
  for (const [where, ids] of bySet)
    lines.push('Not reached in', ...wrapped(where), 'and reached elsewhere:', ...wrapped(groupIds(ids)));
  return lines;
}

/** Statements of one cell, all of them. */
export function cellStatements(cell: CellResult): string {
  const parts = (['kept', 'broken', 'not reached'] as const).flatMap((state) => {
    const ids = idsIn(cell, state);
    return ids.length === 0 ? [] : [`  ${state}:`, ...wrapped(groupIds(ids), '    ')];
  });
  return [`${cell.name}`, ...parts, ''].join('\n');
}

function wrapped(text: string, indent = '  '): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > WIDTH - indent.length) {
      lines.push(indent + line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}
