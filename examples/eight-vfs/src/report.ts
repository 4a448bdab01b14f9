import type { RunResult } from './run-card.js';
import type { FunctionPlan } from './topology.js';

/** A limit may be exceeded by what a bucket lets through at once. */
const ABOVE = 1.03;

/** Mean Mbit/s on the wire of a function. */
function meanRate({ rates }: RunResult, vf: number): number {
  return rates.reduce((sum, { mbits }) => sum + mbits[vf]!, 0) / Math.max(1, rates.length);
}

/** What went through the card, as lines for people. */
export function trafficText(plans: readonly FunctionPlan[], result: RunResult): string {
  const { card, guests } = result;
  const lines = ['function  kind       Mbit/s  limit     sent  received  what its guest does'];
  for (const [vf, { kind, script, maxTxRate }] of plans.entries()) {
    const { sent, odd, received } = guests[vf]!;
    const what = { plain: '', forges: `${odd} frames in its neighbour's name`, pauses: `${odd} PAUSE frames` }[script];
    const cells = [
      `VF ${vf}`.padEnd(9),
      kind.padEnd(8),
      meanRate(result, vf).toFixed(0).padStart(8),
      (maxTxRate === 0 ? '–' : String(maxTxRate)).padStart(6),
      String(sent).padStart(8),
      String(received).padStart(9),
      ` ${what}`,
    ];
    lines.push(cells.join(' ').trimEnd());
  }
  lines.push('', 'lost, by port and reason:');
  for (const { name, drops } of card.ports)
    for (const [reason, frames] of Object.entries(drops))
      lines.push(`  ${name.padEnd(6)} ${reason.padEnd(12)} ${frames}`);
  const wire = card.ports.find(({ name }) => name === 'wire')!;
  lines.push('', `the wire got ${wire.outFrames} frames; ${card.unaccounted} frames are unaccounted for`);
  return `${lines.join('\n')}\n`;
}

/** What went wrong, in sentences; none: what the host set held. */
export function problemsOf(plans: readonly FunctionPlan[], result: RunResult): string[] {
  const { card, guests } = result;
  const problems: string[] = [];
  if (card.unaccounted !== 0) problems.push(`${card.unaccounted} frames are unaccounted for`);
  for (const [vf, { script, maxTxRate }] of plans.entries()) {
    const { drops } = card.ports.find(({ name }) => name === `VF ${vf}`)!;
    const { odd } = guests[vf]!;
    const reason = script === 'forges' ? 'MAC_SPOOF' : 'MAC_CONTROL';
    const lost = drops[reason] ?? 0;
    if (script !== 'plain' && lost !== odd)
      problems.push(
        `VF ${vf} sent ${odd} frames that no card may hand on, and ${lost} of them were dropped as ${reason}`,
      );
    const mbits = meanRate(result, vf);
    if (maxTxRate > 0 && mbits > ABOVE * maxTxRate)
      problems.push(`VF ${vf} sent ${mbits.toFixed(0)} Mbit/s, and its limit is ${maxTxRate}`);
  }
  return problems;
}
