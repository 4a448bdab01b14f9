import { Worker } from 'node:worker_threads';
import { watchOthers } from '../cpu-share.js';
import { DISTURBED } from '../run-cases.js';
import { digits, median, spreadPercent } from '../statistics.js';
import { type Claim, type Effort, percent } from './claim.js';
import type { PairPlan } from './vf-to-vf.js';
import type { VfJob, VfReport } from './vf-worker.js';

/** Workers are built code, also when a test runs the sources: threads start from files. */
const WORKER = new URL('../../dist/claims/vf-worker.js', import.meta.url);
const LEAST_MPPS = 10;
const IDLE = 62;
const MOST_SLOWER = 0.1;

/** What came of it, and cores that other programs used meanwhile, in words. */
interface FlatOut extends VfReport {
  readonly doubt: string;
}

/** Measure pairs of functions in a worker of their own. @throws Error for a frame that is lost, or damaged */
async function flatOut(pairs: readonly PairPlan[], { seconds, rounds }: Effort): Promise<FlatOut> {
  const others = watchOthers();
  const job: VfJob = { pairs, seconds, rounds };
  const worker = new Worker(WORKER, { workerData: job });
  try {
    const report = await new Promise<VfReport>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the worker ended with code ${code}, and said nothing`)));
    });
    const cores = others() ?? 0;
    const doubt = cores > DISTURBED ? `; other programs used ${digits(cores)} cores meanwhile` : '';
    return { ...report, doubt };
  } finally {
    await worker.terminate();
  }
}

const PAIRS: readonly PairPlan[] = [
  { kind: 'virtio', rings: 'split', idle: 0 },
  { kind: 'virtio', rings: 'packed', idle: 0 },
  { kind: '82599', rings: 'split', idle: 0 },
];

/** Two guests' drivers, the card with its switch, and translation of both functions, all in one thread. */
const VF_TO_VF: Claim = {
  name: 'claims/vf-to-vf',
  claim: '10 Mpps or more from VF to VF, 64 B, through IOMMU and switch on one worker, drivers included',
  isWallTime: true,
  measure: async (effort) => {
    const { rounds, processor, doubt } = await flatOut(PAIRS, effort);
    const found = PAIRS.map(({ kind, rings }, at) => ({
      name: kind === 'virtio' ? `virtio ${rings}` : kind,
      mpps: 1000 / median(rounds[at]!),
      spread: spreadPercent(rounds[at]!),
      unshared: 1000 / median(processor[at]!),
    }));
    const texts = found.map(
      ({ name, mpps, spread, unshared }) =>
        `${name} ${digits(mpps)} Mpps (spread ${spread.toFixed(0)} %; ${digits(unshared)} by processor time)`,
    );
    return {
      measured: `${texts.join(', ')}${doubt}`,
      holds: found.every(({ mpps }) => mpps >= LEAST_MPPS),
    };
  },
};

/** What functions cost that have drivers and nothing to do, beside two that send as fast as they can. */
const WALL_IDLE: Claim = {
  name: 'claims/idle/cost',
  claim: 'a VF with nothing to do costs the others nothing: 62 of them, less than 10 % in all',
  isWallTime: true,
  measure: async (effort) => {
    const pairs = [0, IDLE].map((idle): PairPlan => ({ kind: 'virtio', rings: 'split', idle }));
    const { processor, doubt } = await flatOut(pairs, effort);
    const [alone, beside] = processor.map((each) => median(each)) as [number, number];
    const slower = beside / alone - 1;
    return {
      measured: `${digits(alone)} ns of processor time per frame alone, ${digits(beside)} beside ${IDLE}: ${percent(slower)}${doubt}`,
      holds: slower < MOST_SLOWER,
    };
  },
};

/** Claims by the clock. */
export const FLAT_OUT_CLAIMS: readonly Claim[] = [VF_TO_VF, WALL_IDLE];
