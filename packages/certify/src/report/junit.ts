import type { CellResult, Certificate, ScenarioResult } from '../certificate.js';
import { findingLine } from './finding-line.js';
import { groupIds, idsIn } from './group-ids.js';
import { xmlElement, xmlText } from './xml.js';

const seconds = (results: readonly ScenarioResult[]): string =>
  (results.reduce((sum, { ms }) => sum + ms, 0) / 1000).toFixed(3);

/** A certificate as JUnit's XML: a suite for each cell, a case for each scenario. */
export function certificateJunit({ driver, cells }: Certificate): string {
  const all = cells.flatMap(({ scenarios }) => scenarios);
  const suites = cells.map(suite).join('\n');
  const root = xmlElement(
    'testsuites',
    { name: `${driver}: virtio 1.4`, ...totals(all), time: seconds(all) },
    `\n${suites}\n`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root}\n`;
}

function totals(results: readonly ScenarioResult[]): Record<string, number> {
  const count = (outcome: ScenarioResult['outcome']): number => results.filter((one) => one.outcome === outcome).length;
  return { tests: results.length, failures: count('failed'), errors: 0, skipped: count('skipped') };
}

function suite(cell: CellResult): string {
  const { name, backend, vendor, rings, iommu, scenarios, because } = cell;
  const properties = { backend, vendor, rings, iommu: iommu ? 'on' : 'off' };
  const lines = Object.entries(properties).map(([key, value]) => xmlElement('property', { name: key, value }));
  const cases =
    because === null
      ? scenarios.map((result) => testCase(name, result))
      : [
          xmlElement(
            'testcase',
            { classname: name, name: 'all', time: 0 },
            xmlElement('skipped', { message: because }),
          ),
        ];
  const counts = because === null ? totals(scenarios) : { tests: 1, failures: 0, errors: 0, skipped: 1 };
  const said = (['kept', 'broken', 'not reached'] as const).map((state) => `${state}: ${groupIds(idsIn(cell, state))}`);
  const inside = [
    xmlElement('properties', {}, lines.join('')),
    ...cases,
    xmlElement('system-out', {}, xmlText(said.join('\n'))),
  ];
  return xmlElement('testsuite', { name, ...counts, time: seconds(scenarios) }, `\n${inside.join('\n')}\n`);
}

function testCase(cell: string, { name, title, outcome, because, findings, ms }: ScenarioResult): string {
  const parts = findings
    .filter(({ fails }) => fails)
    .map((finding) =>
      xmlElement(
        'failure',
        { type: finding.id, message: finding.message },
        xmlText(`${title}\n${findingLine(finding)}`),
      ),
    );
  if (outcome === 'skipped') parts.push(xmlElement('skipped', { message: because ?? '' }));
  const advice = findings.filter(({ fails }) => !fails).map(findingLine);
  if (advice.length > 0) parts.push(xmlElement('system-out', {}, xmlText(advice.join('\n'))));
  return xmlElement('testcase', { classname: cell, name, time: (ms / 1000).toFixed(3) }, parts.join(''));
}
