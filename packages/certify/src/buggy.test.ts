import { expect, test } from 'vitest';
import { certify } from './certify.js';
import { BUG_CLAUSES, type BugCase } from './testing/bug-clauses.js';
import { BUGS, type Bug } from './testing/bugs.js';
import { plainDriver } from './testing/plain-driver.js';

const CASES = BUGS.flatMap((bug) => BUG_CLAUSES[bug].map((one) => [bug, one] as const));

async function certified(
  bug: Bug | undefined,
  { backend = 'pci', rings = 'split', iommu = false, scenario }: Omit<BugCase, 'ids'>,
) {
  const options = { backends: [backend], rings: [rings], iommu: [iommu], scenarios: [scenario] };
  return certify({ name: 'plain', openDriver: plainDriver(bug) }, options);
}

test.each(CASES)('a driver that %s is told the clause: case %#', async (bug, one) => {
  const certificate = await certified(bug, one);
  const findings = certificate.cells.flatMap(({ scenarios }) => scenarios.flatMap((result) => result.findings));
  expect(findings.map(({ id }) => id)).toEqual(expect.arrayContaining([...one.ids]));
  expect(certificate.passed).toBe(one.isAdvice === true);
  for (const { id, spec, gist, message } of findings) {
    expect(spec, id).toMatch(/^[1-6](\.\d+)+$/);
    expect([gist.length, message.length].every((length) => length > 10)).toBe(true);
  }
  // The same driver without the bug is told nothing there.
  const right = await certified(undefined, one);
  expect(right.cells.flatMap(({ scenarios }) => scenarios.flatMap((result) => result.findings))).toEqual([]);
  expect(right.passed).toBe(true);
});
