/** What the literature of the field says, and what was measured of it here. */
export interface ClaimFigure {
  /** Such as `claims/fairness/tiny`. */
  readonly name: string;
  readonly claim: string;
  /** In words, with units. */
  readonly measured: string;
  readonly holds: boolean;
  /** It depends on the machine, and on who else uses it: the bench does not fail by it. */
  readonly isWallTime: boolean;
}

/** One claim, and how it is measured. */
export interface Claim {
  readonly name: string;
  readonly claim: string;
  readonly isWallTime: boolean;
  measure(effort: Effort): Promise<Measured> | Measured;
}

/** What was found. */
export interface Measured {
  readonly measured: string;
  readonly holds: boolean;
}

/** How long a claim is looked at. */
export interface Effort {
  /** Virtual µs of a measurement. */
  readonly virtualMicroseconds: number;
  /** Of a round by the clock, and how many there are. */
  readonly seconds: number;
  readonly rounds: number;
}

export const QUICK_EFFORT: Effort = { virtualMicroseconds: 1000, seconds: 0.2, rounds: 3 };
export const WHOLE_EFFORT: Effort = { virtualMicroseconds: 5000, seconds: 1, rounds: 5 };

/** Jain's index of fairness: 1 when all are equal, 1 / n when one has it all. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0));
}

export const percent = (share: number, places = 1): string => `${(100 * share).toFixed(places)} %`;
