import type { CasePlan, FrameKind, Layout, NetWork } from './case-plan.js';

const SIZES: readonly FrameKind[] = ['64', '1500', 'imix'];
const BATCH = 32;

/** What is run of {@link netCases} in quick mode. */
export const QUICK_NET_CASES: readonly string[] = [
  'net/pmd/split/64/worker/tx',
  'net/pmd/split/64/worker/loop',
  'net/pmd/split/64/worker/wake',
  'net/kernel/split/64/worker/loop',
  'net/kernel/split/64/worker/ping',
];

/** Whole network devices: a driver against a device, in one thread (inline), or with the device in one of its own (worker). */
export function netCases(): CasePlan[] {
  const cases: CasePlan[] = [];
  for (const layout of ['split', 'packed'] as const) {
    for (const threads of ['inthread', 'xthread'] as const) {
      for (const frames of SIZES)
        for (const task of ['tx', 'loop'] as const) cases.push(net(layout, threads, frames, { driver: 'pmd', task }));
      for (const frames of SIZES) cases.push(net(layout, threads, frames, { driver: 'kernel', task: 'loop' }));
    }
    cases.push(net(layout, 'xthread', '64', { driver: 'kernel', task: 'ping' }));
    cases.push(net(layout, 'xthread', '64', { driver: 'pmd', task: 'wake' }));
  }
  return cases;
}

export function net(layout: Layout, threads: CasePlan['threads'], frames: FrameKind, work: NetWork): CasePlan {
  const isTrip = work.task === 'ping' || work.task === 'wake';
  return {
    name: `net/${work.driver}/${layout}/${frames}/${threads === 'xthread' ? 'worker' : 'inline'}/${work.task}`,
    kind: 'net',
    layout,
    threads,
    frames,
    batch: isTrip ? 1 : BATCH,
    variant: undefined,
    behindIommu: false,
    translation: undefined,
    net: work,
    idle: work.driver === 'kernel' || work.task === 'wake' ? 'sleep' : 'spin',
    check: isTrip ? 'sum' : 'copy',
  };
}

/** The case that stands beside DPDK: a poll-mode driver sends frames of 64 bytes to a device in another thread. */
export const isNetTransmit = ({ net, threads, frames, behindIommu }: CasePlan): boolean =>
  net?.driver === 'pmd' && net.task === 'tx' && threads === 'xthread' && frames === '64' && !behindIommu;
