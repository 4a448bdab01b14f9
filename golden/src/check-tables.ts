import { runVtdSet, type VtdSetFiles } from '@ringwire/iommu/testing';
import type { Tally } from './tally.js';

/** Run all that a set says of its VT-d tables through a unit. */
export function checkTables(files: VtdSetFiles, tally: Tally): void {
  const { differences, compared } = runVtdSet(files);
  for (const { where, what, expected, found } of differences) tally.equal(`${where}: ${what}`, found, expected);
  tally.tables = compared;
}
