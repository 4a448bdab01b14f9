import { type Claim, type Effort, type Measured, percent } from '../claims/claim.js';
import type { FunctionKind } from '../claims/function-kind.js';
import { SILENT_DEEDS } from './deeds.js';
import { MOST_NANOSECONDS, type Observation, observe } from './observe.js';
import { quantile } from './probes.js';

const HOSTILES: readonly (readonly [kind: FunctionKind, rings: 'split' | 'packed'])[] = [
  ['virtio', 'split'],
  ['virtio', 'packed'],
  ['82599', 'split'],
  ['vendor-b', 'split'],
];
/** Of a whole effort: each kind of function does each deed so long, in µs. */
const PART = 0.4;

/** What a hostile function does to its neighbours' frames. */
export const ISOLATION_CLAIM: Claim = {
  name: 'claims/isolation',
  claim:
    'neighbours of a hostile VF see no other byte, counter or latency, or, when it sends, wait as long as shares of the wire say',
  isWallTime: false,
  measure: ({ virtualMicroseconds }: Effort): Measured => {
    const microseconds = PART * virtualMicroseconds;
    let same = 0;
    let looked = 0;
    const waits: string[] = [];
    let longest = 0;
    for (const [kind, rings] of HOSTILES) {
      const alone = observe({ kind, rings, microseconds });
      for (const deed of SILENT_DEEDS) {
        looked++;
        if (textOf(observe({ kind, rings, microseconds, deed })) === textOf(alone)) same++;
      }
      const flooded = observe({ kind, rings, microseconds, flood: { bytes: 60, to: 'wire' } });
      const [before, beside] = [alone, flooded].map(toWire) as [number[], number[]];
      longest = Math.max(longest, quantile(beside, 1));
      waits.push(`${kind}${kind === 'virtio' ? ` ${rings}` : ''} ${inWords(beside)} (alone ${inWords(before)})`);
    }
    return {
      measured: `the same beside ${same} of ${looked} (${percent(same / looked, 0)}); beside tiny frames to the wire, in µs: ${waits.join(', ')}`,
      holds: same === looked && longest <= MOST_NANOSECONDS,
    };
  },
};

const toWire = ({ flows }: Observation): number[] =>
  flows.filter(({ name }) => name.endsWith('wire')).flatMap(({ nanoseconds }) => nanoseconds);

const inWords = (nanoseconds: readonly number[]): string =>
  [0.5, 0.99, 1].map((part) => (quantile(nanoseconds, part) / 1000).toFixed(1)).join('/');

/** Of everything that has to be the same. */
function textOf({ flows, neighbours, toHostile }: Observation): string {
  return JSON.stringify([flows.map(({ rounds: _, ...flow }) => flow), neighbours, toHostile]);
}
