import type { EswitchPortCounters } from './drop-reason.js';

/**
 * Frames that are unaccounted for: what came in, and copies of it, without what went out and what was lost for a reason.
 * 0 at any time between two calls of the switch, for all its ports together.
 */
export function unaccountedFrames(ports: readonly { readonly counters: EswitchPortCounters }[]): number {
  let frames = 0;
  for (const { counters } of ports) {
    frames += counters.inFrames + counters.copies - counters.outFrames;
    for (const drops of counters.drops) frames -= drops;
  }
  return frames;
}
