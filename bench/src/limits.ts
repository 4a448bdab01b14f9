import type { CaseResult } from './case-result.js';
import { DISTURBED, type Results } from './run-cases.js';
import { digits } from './statistics.js';
import { wrapText } from './wrap-text.js';

/** What the figures say, in sentences: the ratios, and what holds the rate down. */
export function formatSummary({ cases, ratios, iommuRatios }: Results): string {
  const sentences: string[] = [];
  for (const { name, ratio, oursMpps, dpdkMpps, otherCores } of ratios) {
    const [bytes, layout, isNet] = name.split('/').reverse();
    const what = isNet === 'net' ? ', poll-mode driver to network device' : '';
    sentences.push(
      `${layout}, ${bytes} B${what}: ${digits(oursMpps)} Mpps, DPDK ${digits(dpdkMpps)} in the same seconds: ratio ${ratio.toFixed(2)}${doubt(otherCores)}.`,
    );
  }
  for (const { name, ratio, oursMpps, plainMpps, otherCores } of iommuRatios) {
    const [, layout] = name.split('/');
    sentences.push(
      `${layout}, 64 B through a VT-d unit: ${digits(oursMpps)} Mpps, ${digits(plainMpps)} without in the same seconds: ratio ${ratio.toFixed(2)}${doubt(otherCores)}.`,
    );
  }
  for (const layout of ['split', 'packed']) sentences.push(...limitsOf(layout, cases));
  sentences.push(...cases.flatMap(netSentences));
  const failed = cases.filter(({ problem }) => problem !== null);
  if (failed.length > 0) sentences.push(`FAILED: ${failed.map(({ name }) => name).join(', ')}`);
  else if (cases.length > 0) {
    const frames = cases.reduce((sum, each) => sum + each.frames, 0);
    const summed = cases.reduce((sum, each) => sum + each.summed, 0);
    sentences.push(
      `${millions(frames)} frames, none lost, out of place or damaged; of ${millions(summed)} every byte was compared.`,
    );
  }
  return sentences.map((sentence) => wrapText(sentence)).join('');
}

function limitsOf(layout: string, cases: readonly CaseResult[]): string[] {
  const find = (name: string): CaseResult | undefined =>
    cases.find((each) => each.name === name && each.problem === null);
  const small = find(`ring/${layout}/xthread/64/b32`);
  const large = find(`ring/${layout}/xthread/1500/b32`);
  const turns = find(`ring/${layout}/inthread/64/b32`);
  const ring = find(`ringcost/${layout}/b32`);
  const sentences: string[] = [];
  if (small !== undefined && turns !== undefined && ring !== undefined) {
    sentences.push(
      `${layout}, 64 B: ${digits(small.nsPerFrame)} ns per frame with a thread for each side, ` +
        `${digits(turns.nsPerFrame)} in one, of which the ring alone is ${digits(ring.nsPerFrame)}. ` +
        `Two threads share that work, and wait for ${digits(small.cacheLinesPerFrame)} cache lines per frame to come ` +
        'from the other core: the slower side, the device, sets the rate.',
    );
  }
  if (small !== undefined && large !== undefined && large.nsPerFrame > small.nsPerFrame) {
    const lines = large.cacheLinesPerFrame - small.cacheLinesPerFrame;
    sentences.push(
      `${layout}, 1500 B: ${digits(large.nsPerFrame)} ns per frame; ${lines.toFixed(0)} more lines of payload cost ` +
        `${digits((large.nsPerFrame - small.nsPerFrame) / lines)} ns each: bringing them from core to core is the limit.`,
    );
  }
  return sentences;
}

/** What a network device's figures say beside rates. */
function netSentences({ name, framesPerInterrupt, p50, p99, idleWakeUps, idleCores }: CaseResult): string[] {
  const sentences: string[] = [];
  if (framesPerInterrupt !== undefined) {
    const trip = p99 === undefined ? '' : `, round trip ${digits(p50! / 1e3)} µs, p99 ${digits(p99 / 1e3)} µs`;
    sentences.push(`${name}: ${digits(framesPerInterrupt)} frames per interrupt${trip}.`);
  }
  if (idleWakeUps !== undefined)
    sentences.push(
      `${name}: a device's thread that sleeps has sent a frame after ${digits(p50! / 1e3)} µs, p99 ${digits(p99! / 1e3)} µs; ` +
        `with nothing to do it woke up ${digits(idleWakeUps)} times in a second, and the process used ${digits(idleCores! * 100)} % of a core.`,
    );
  return sentences;
}

/** A ratio measured while others used the same cores is hardly one. */
const doubt = (otherCores: number | null): string =>
  (otherCores ?? 0) > DISTURBED
    ? `, not to be relied on: other programs used ${otherCores!.toFixed(1)} cores meanwhile`
    : '';

const millions = (count: number): string =>
  count >= 1e6 ? `${(count / 1e6).toFixed(count >= 1e8 ? 0 : 1)} million` : `${count}`;
