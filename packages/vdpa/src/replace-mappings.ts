import { type AsidMappings, MAPPINGS_MAX, mappingProblem } from './asid-space.js';
import type { VdpaMapping } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

/** Have these mappings in place of all there are. On an outcome but OK the old ones are there. */
export function replaceMappings(space: AsidMappings, mappings: readonly VdpaMapping[]): VdpaOutcome {
  if (mappings.length > MAPPINGS_MAX) return VDPA.NO_ROOM;
  for (const mapping of mappings) {
    const problem = mappingProblem(mapping, space.granule, space.memory.size);
    if (problem !== VDPA.OK) return problem;
  }
  const sorted = [...mappings].sort((a, b) => a.iova - b.iova);
  const overlap = sorted.some(({ iova }, at) => at > 0 && iova < sorted[at - 1]!.iova + sorted[at - 1]!.bytes);
  if (overlap) return VDPA.EXISTS;
  const old = [...space.mappings];
  const cleared = space.clear();
  if (cleared !== VDPA.OK) return cleared;
  for (const mapping of sorted) {
    const outcome = space.map(mapping);
    if (outcome === VDPA.OK) continue;
    space.clear();
    for (const before of old) space.map(before);
    return outcome;
  }
  return VDPA.OK;
}
