import { PcapngWriter } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { FEATURE_SETS } from './feature-sets.js';
import { PINGS, runSet } from './run-set.js';

test.each(FEATURE_SETS)('two guests reach each other with $name over $transport', (set) => {
  const writer = new PcapngWriter(() => {}, { clock: () => 0 });
  const { pings, frames, wrong } = runSet(set, 3000, writer);
  expect({ pings, frames, wrong, captured: writer.frames }).toEqual({
    pings: PINGS,
    frames: 3000,
    wrong: 0,
    captured: 30,
  });
});
