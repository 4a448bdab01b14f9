import type { CasePlan, Check, FrameKind, Layout, Variant } from './case-plan.js';

const LAYOUTS: readonly Layout[] = ['split', 'packed'];
const BATCHES = [1, 8, 32, 256] as const;
const USUAL_BATCH = 32;
const VARIANTS: readonly Variant[] = ['event_idx', 'indirect', 'in_order', 'iommu'];

/**
 * DPDK, which stands beside frames of one length, sums nothing: those are copied alone in measured rounds, and a round that
 * is not measured sums them. Mixes, and frames in pieces, are summed in every round.
 */
const checkFor = (frames: FrameKind, variant: Variant | undefined): Check =>
  frames === 'imix' || frames === 'pcap' || variant === 'indirect' ? 'sum' : 'copy';

/** The whole matrix, in the order in which it is run and printed. Variants come where the ring is most of the work. */
export function allCases(): CasePlan[] {
  const cases: CasePlan[] = [];
  for (const layout of LAYOUTS) for (const batch of BATCHES) cases.push(ringCost(layout, batch));
  for (const threads of ['inthread', 'xthread'] as const) {
    for (const layout of LAYOUTS) {
      for (const batch of BATCHES) cases.push(ring(layout, threads, '64', batch));
      for (const variant of VARIANTS) {
        // In one thread nobody can sleep.
        if (threads === 'xthread' || variant !== 'event_idx')
          cases.push(ring(layout, threads, '64', USUAL_BATCH, variant));
      }
      for (const frames of ['256', '1500', 'imix', 'pcap'] as const)
        cases.push(ring(layout, threads, frames, USUAL_BATCH));
    }
  }
  for (const layout of LAYOUTS) for (const wait of ['spin', 'wait'] as const) cases.push(latency(layout, wait));
  return cases;
}

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
    idle: 'spin',
    check: 'sum',
  };
}
