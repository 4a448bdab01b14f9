import { closeSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PcapngWriter } from '@ringwire/net-backend';
import { FEATURE_SETS } from './feature-sets.js';
import { PINGS, runSet } from './run-set.js';

/**
 * Two guests, each with a network card, and a cable between the cards: the first one pings the second, then sends it a
 * stream of numbered frames, once with each set of features. The first frames of each go into a capture.
 *
 *     pnpm example two-guests [FRAMES] [CAPTURE]
 */
const [frames = '1000000', capture = join(tmpdir(), 'two-guests.pcapng')] = process.argv.slice(2);
const count = Number(frames);
if (!Number.isInteger(count) || count < 1) throw new Error(`FRAMES is ${frames}, want an integer from 1 on`);

const file = openSync(capture, 'w');
const writer = new PcapngWriter((bytes) => void writeSync(file, bytes), {
  clock: () => performance.now() * 1000,
  startSeconds: Math.floor(performance.timeOrigin / 1000),
});
let failed = 0;
console.log('features                     transport  pings   frames     Mpps   interrupts  wrong');
for (const set of FEATURE_SETS) {
  const result = runSet(set, count, writer);
  const isRight = result.pings === PINGS && result.frames === count && result.wrong === 0;
  if (!isRight) failed++;
  const columns = [
    set.name.padEnd(28),
    set.transport.padEnd(9),
    `${result.pings}/${PINGS}`.padStart(6),
    String(result.frames).padStart(9),
    (result.frames / result.seconds / 1e6).toFixed(2).padStart(7),
    String(result.interrupts).padStart(11),
    String(result.wrong).padStart(6),
  ];
  console.log(columns.join(' '));
}
closeSync(file);
console.log(`${writer.frames} frames are in ${capture}`);
process.exitCode = failed === 0 ? 0 : 1;
