import { VTD_KIND } from './vtd-context-walk.js';
import { WALK } from './vtd-paging.js';
import type { VtdTable, VtdTrace } from './vtd-table-reader.js';
import type { VtdUnit } from './vtd-unit.js';

/** Whose tables a request fails in. */
export type FaultStage = 'guest' | 'host' | 'requester';

/** Remembers the last paging table that a walk came to. */
class LastTable implements VtdTrace {
  table: VtdTable | undefined = undefined;

  entry(table: VtdTable): void {
    this.table = table;
  }

  unreadable(table: VtdTable): void {
    this.table = table;
  }
}

/**
 * Where a request fails as the tables are now: in a guest's first stage, in the host's second stage, or before both, in
 * what the requester was given. Codes alone don't tell: both stages say "no write" in the same words. Walks without
 * changing anything.
 * @param access `ACCESS` bits
 * @returns undefined when it does not fail
 */
export function faultStage(
  unit: VtdUnit,
  sourceId: number,
  pasid: number,
  address: number,
  access: number,
): FaultStage | undefined {
  const last = new LastTable();
  const walk = unit.spectator(last);
  const reason = walk.walk(sourceId, pasid, address, access);
  if (reason === WALK.OK) return undefined;
  if (last.table === 'second-stage') return 'host';
  if (last.table === 'first-stage') return 'guest';
  if (walk.locate(sourceId, pasid) !== WALK.OK) return 'requester';
  // The address is too large for the first tables it would come to.
  return walk.kind === VTD_KIND.FIRST_STAGE || walk.kind === VTD_KIND.NESTED ? 'guest' : 'host';
}
