import { ISOLATION_CLAIM } from '../isolation/claim.js';
import { type Claim, type ClaimFigure, QUICK_EFFORT, WHOLE_EFFORT } from './claim.js';
import { FLAT_OUT_CLAIMS } from './flat-out.js';
import { lineRateClaim } from './line-rate.js';
import { MEMORY_CLAIM } from './memory.js';
import { interVmClaim, SHARING_CLAIMS } from './sharing.js';

export type { Claim, ClaimFigure } from './claim.js';
export { type LineRate, lineRates } from './line-rate.js';

const KINDS = ['virtio', '82599', 'vendor-b'] as const;

/** What the literature of the field says of cards with SR-IOV, in the order in which it is measured. */
export const CLAIMS: readonly Claim[] = [
  ...KINDS.map(lineRateClaim),
  ...KINDS.map(interVmClaim),
  ...SHARING_CLAIMS,
  ISOLATION_CLAIM,
  ...FLAT_OUT_CLAIMS,
  MEMORY_CLAIM,
];

/** Those whose name matches. */
export const selectClaims = (pattern: RegExp | undefined): readonly Claim[] =>
  CLAIMS.filter(({ name }) => pattern === undefined || pattern.test(name));

/** @param quick a short look rather than a whole one */
export async function measureClaim({ name, claim, isWallTime, measure }: Claim, quick: boolean): Promise<ClaimFigure> {
  return { name, claim, isWallTime, ...(await measure(quick ? QUICK_EFFORT : WHOLE_EFFORT)) };
}

const NAME = 28;

/** A claim and what was measured, as two lines for people. */
export function formatClaim({ name, claim, measured, holds }: ClaimFigure): string {
  return `  ${holds ? 'holds' : 'FAILS'}  ${name.padEnd(NAME)}${claim}\n${' '.repeat(NAME + 9)}${measured}\n`;
}
