import type { SlotRun } from './report.js';

/** Neighbouring slots of one state, made one run. */
export function slotRuns(size: number, stateOf: (index: number) => SlotRun['state']): SlotRun[] {
  const runs: { from: number; count: number; state: SlotRun['state'] }[] = [];
  for (let index = 0; index < size; index++) {
    const state = stateOf(index);
    const last = runs.at(-1);
    if (last !== undefined && last.state === state) last.count++;
    else runs.push({ from: index, count: 1, state });
  }
  return runs;
}
