import type { CasePlan, Check, FrameKind, Layout, Translation, Variant } from './case-plan.js';
import { isNetTransmit, netCases, QUICK_NET_CASES } from './net-cases.js';

const LAYOUTS: readonly Layout[] = ['split', 'packed'];
const BATCHES = [1, 8, 32, 256] as const;
const USUAL_BATCH = 32;
const VARIANTS: readonly Variant[] = ['event_idx', 'indirect', 'in_order'];
const TRANSLATIONS: readonly Translation[] = [
  'none',
  'hit',
  'miss-4k',
  'walk-4k',
  'miss-2m',
  'miss-1g',
  'thrash',
  'unmap-strict',
  'unmap-lazy',
];
/** No ring of its own has anything to say. */
const NO_RING = {
  layout: 'split',
  threads: 'inthread',
  frames: '64',
  batch: 1,
  variant: undefined,
  idle: 'spin',
} as const;

/**
 * DPDK, which stands beside frames of one length, sums nothing: those are copied alone in measured rounds, and a round that
 * is not measured sums them. Mixes, and frames in pieces, are summed in every round.
 */
const checkFor = (frames: FrameKind, variant: Variant | undefined): Check =>
  frames === 'imix' || frames === 'pcap' || variant === 'indirect' ? 'sum' : 'copy';

/** Which rings' devices are behind an IOMMU: none, all, or, when it was not said, one of each format and thread layout too. */
export type IommuChoice = 'off' | 'on' | undefined;

/**
 * The whole matrix, in the order in which it is run and printed. Variants come where the ring is most of the work.
 * @param quick only few cases of network devices
 */
export function allCases(iommu?: IommuChoice, quick = false): CasePlan[] {
  const cases: CasePlan[] = [];
  for (const layout of LAYOUTS) for (const batch of BATCHES) cases.push(ringCost(layout, batch));
  if (iommu !== 'off') for (const kind of TRANSLATIONS) cases.push(translation(kind));
  for (const threads of ['inthread', 'xthread'] as const) {
    for (const layout of LAYOUTS) cases.push(...ringCases(layout, threads, iommu));
  }
  for (const layout of LAYOUTS)
    for (const wait of ['spin', 'wait'] as const) cases.push(withIommu(latency(layout, wait), iommu === 'on'));
  for (const plan of netCases()) {
    if (quick && !QUICK_NET_CASES.includes(plan.name)) continue;
    cases.push(withIommu(plan, iommu === 'on'));
    if (iommu === undefined && !quick && isNetTransmit(plan)) cases.push(withIommu(plan, true));
  }
  return cases;
}

function ringCases(layout: Layout, threads: CasePlan['threads'], iommu: IommuChoice): CasePlan[] {
  const cases = BATCHES.map((batch) => ring(layout, threads, '64', batch));
  for (const variant of VARIANTS) {
    // In one thread nobody can sleep.
    if (threads === 'xthread' || variant !== 'event_idx') cases.push(ring(layout, threads, '64', USUAL_BATCH, variant));
  }
  for (const frames of ['256', '1500', 'imix', 'pcap'] as const) cases.push(ring(layout, threads, frames, USUAL_BATCH));
  if (iommu === 'on') return cases.map((plan) => withIommu(plan, true));
  if (iommu === undefined) cases.push(withIommu(ring(layout, threads, '64', USUAL_BATCH), true));
  return cases;
}

/** The same case with its device behind an IOMMU, if it is to be. */
export const withIommu = (plan: CasePlan, behindIommu: boolean): CasePlan =>
  behindIommu ? { ...plan, name: `${plan.name}/iommu`, behindIommu } : plan;

/** Cases whose name matches. @param pattern a part of the name, or a regular expression */
export function selectCases(cases: readonly CasePlan[], pattern: RegExp | undefined): CasePlan[] {
  return cases.filter(({ name }) => pattern === undefined || pattern.test(name));
}

export function ring(
  layout: Layout,
  threads: CasePlan['threads'],
  frames: FrameKind,
  batch: number,
  variant?: Variant,
): CasePlan {
  return {
    name: `ring/${layout}/${threads}/${frames}/b${batch}${variant === undefined ? '' : `/${variant}`}`,
    kind: 'ring',
    layout,
    threads,
    frames,
    batch,
    variant,
    behindIommu: false,
    translation: undefined,
    net: undefined,
    idle: variant === 'event_idx' ? 'sleep' : 'spin',
    check: checkFor(frames, variant),
  };
}

export function latency(layout: Layout, wait: 'spin' | 'wait'): CasePlan {
  return {
    name: `latency/${layout}/${wait}`,
    kind: 'latency',
    layout,
    threads: 'xthread',
    frames: '64',
    batch: 1,
    variant: undefined,
    behindIommu: false,
    translation: undefined,
    net: undefined,
    idle: wait === 'spin' ? 'spin' : 'sleep',
    check: 'sum',
  };
}

export function ringCost(layout: Layout, batch: number): CasePlan {
  return {
    name: `ringcost/${layout}/b${batch}`,
    kind: 'ringcost',
    layout,
    threads: 'inthread',
    frames: '64',
    batch,
    variant: undefined,
    behindIommu: false,
    translation: undefined,
    net: undefined,
    idle: 'spin',
    check: 'sum',
  };
}

function translation(kind: Translation): CasePlan {
  return {
    ...NO_RING,
    name: `iommu/${kind}`,
    kind: 'iommu',
    behindIommu: kind !== 'none',
    translation: kind,
    net: undefined,
    check: 'copy',
  };
}
