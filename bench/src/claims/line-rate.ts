import type { Claim, Effort, Measured } from './claim.js';
import { percent } from './claim.js';
import type { FunctionKind } from './function-kind.js';
import { PopulatedCard } from './populated-card.js';
import { type Load, OUTSIDE, type Station } from './station.js';

/** Bytes that 10 Gbit/s are in a µs. */
export const WIRE_BYTES_PER_US = 1250;
const KIB = 1024;
/** Until rings and buffers are as full as they will be, in µs. */
const WARM = 500;
const REST = 200;
const LEAST_SHARE = 0.95;
const MOST_BELOW = 0.02;

/** Message sizes: frames with their check sequence up to an ordinary MTU's, TCP payloads above. */
const SIZES: readonly { readonly name: string; readonly bytes: Load['bytes'] }[] = [
  { name: '64 B', bytes: 60 },
  { name: '128 B', bytes: 124 },
  { name: '256 B', bytes: 252 },
  { name: '512 B', bytes: 508 },
  { name: '1 KiB', bytes: 1020 },
  { name: '1518 B', bytes: 1514 },
  { name: '4 KiB', bytes: { message: 4 * KIB } },
  { name: '16 KiB', bytes: { message: 16 * KIB } },
  { name: '64 KiB', bytes: { message: 64 * KIB } },
];

/** What one function alone sends with messages of one size, as parts of the wire's rate. */
export interface LineRate {
  readonly size: string;
  readonly physical: number;
  readonly virtual: number;
}

/** A virtual function alone, and the physical one alone, by the size of messages; wire bytes that left, in virtual time. */
export function lineRates(kind: FunctionKind, effort: Pick<Effort, 'virtualMicroseconds'>): LineRate[] {
  const card = new PopulatedCard({ vfs: [kind] });
  const alone = (station: Station, bytes: Load['bytes']): number => {
    station.load = { to: OUTSIDE, bytes };
    card.run(WARM);
    const before = card.wire.wireBytes;
    card.run(effort.virtualMicroseconds);
    const left = card.wire.wireBytes - before;
    station.load = undefined;
    card.run(REST);
    return left / (WIRE_BYTES_PER_US * effort.virtualMicroseconds);
  };
  return SIZES.map(({ name, bytes }) => ({
    size: name,
    physical: alone(card.hosts[0]!, bytes),
    virtual: alone(card.guests[0]!, bytes),
  }));
}

/** F99, F100: one virtual function reaches the wire's rate, whatever the size, and what the physical one does. */
export function lineRateClaim(kind: FunctionKind): Claim {
  return {
    name: `claims/line-rate/${kind}`,
    claim: 'a VF sends 95 % of the 10 Gbit/s line or more, at most 2 % less than the PF, 64 B to 64 KiB',
    isWallTime: false,
    measure: (effort) => judge(lineRates(kind, effort)),
  };
}

function judge(rates: readonly LineRate[]): Measured {
  const slowest = rates.reduce((least, rate) => (rate.virtual < least.virtual ? rate : least));
  const below = Math.max(...rates.map(({ physical, virtual }) => 1 - virtual / physical));
  return {
    measured: `${percent(slowest.virtual)} or more, least at ${slowest.size}; ${percent(Math.max(0, below), 2)} less than the PF at most`,
    holds: slowest.virtual >= LEAST_SHARE && below <= MOST_BELOW,
  };
}
