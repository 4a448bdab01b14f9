import { type MemoryTable, overlapProblem, regionOf } from './memory-table.js';
import { MEM_REGION, MEM_TABLE, SINGLE_REGION } from './messages.js';
import type { Outcome } from './outcome.js';
import type { VhostPort } from './vhost-port.js';

/** Memory regions that a front-end may add one by one. */
export const SLOTS_MAX: number = 32;

/** What a front-end asks about its memory. No ring runs while the table changes. */
export class MemoryRequests {
  private readonly port: VhostPort;
  private readonly table: MemoryTable;

  constructor(port: VhostPort, table: MemoryTable) {
    this.port = port;
    this.table = table;
  }

  /** Refused, it leaves the table before as it was, unless a file could not be mapped: then there is no memory at all. */
  setTable(payload: DataView, fds: number[]): Outcome {
    const count = payload.getUint32(MEM_TABLE.count, true);
    if (count < 1 || count > MEM_TABLE.REGIONS_MAX) return `${count} regions, want 1 to ${MEM_TABLE.REGIONS_MAX}`;
    if (fds.length !== count) return `${fds.length} descriptors for ${count} regions`;
    if (payload.byteLength < MEM_TABLE.regions + count * MEM_REGION.SIZE) return `${count} regions are not all there`;
    const regions = Array.from({ length: count }, (_, at) =>
      regionOf(payload, MEM_TABLE.regions + at * MEM_REGION.SIZE),
    );
    const good = regions.filter((region) => typeof region !== 'string');
    if (good.length < count) return regions.find((region) => typeof region === 'string');
    const problem = overlapProblem(good);
    if (problem !== undefined) return problem;
    return this.port.withoutRings(() => {
      this.table.clear();
      for (const [at, region] of good.entries()) {
        const why = this.table.add(region, fds[at]!);
        if (why === undefined) continue;
        this.table.clear();
        return why;
      }
      return undefined;
    });
  }

  /** QEMU 7.2 adds each region once for every pair of rings: what is there already is left as it is. */
  addRegion(payload: DataView, fds: number[]): Outcome {
    const region = regionOf(payload, SINGLE_REGION.region);
    if (typeof region === 'string') return region;
    if (fds.length !== 1) return 'a region without a descriptor';
    if (this.table.named(region)?.mmapOffset === region.mmapOffset) return undefined;
    if (this.table.count === SLOTS_MAX) return `more than ${SLOTS_MAX} regions`;
    return this.port.withoutRings(() => this.table.add(region, fds[0]!));
  }

  /** QEMU 7.2 removes each region once for every pair of rings as well: one that is gone already is gone. */
  removeRegion(payload: DataView): Outcome {
    const region = regionOf(payload, SINGLE_REGION.region);
    if (typeof region === 'string') return region;
    if (this.table.named(region) === undefined)
      return this.table.wasRemoved(region) ? undefined : 'there is no such region';
    return this.port.withoutRings(() => {
      this.table.remove(region);
      return undefined;
    });
  }
}
