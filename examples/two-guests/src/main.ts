import { closeSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { Capture } from './capture.js';
import { FEATURE_SETS } from './feature-sets.js';
import { PINGS, runSet } from './run-set.js';

// Two guests, each with a network card, and a cable between the cards, all in threads of their own: the first one pings the
// second, then sends it a stream of numbered frames, once with each set of features. The first frames of each go into a
// capture.
const command = new Command('two-guests')
  .description('Two guests with a network card each: pings and a stream of frames with each set of features.')
  .argument('[frames]', 'frames of each stream', positive, 1_000_000)
  .argument('[capture]', 'pcapng file to write', join(tmpdir(), 'two-guests.pcapng'))
  .addHelpText('after', '\nExit code: 0, 1 when a ping or a frame was lost or wrong, 2 for a wrong argument.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse();
const [count, capture] = command.processedArgs as [number, string];

function positive(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('Want an integer from 1 on.');
  return number;
}

const file = openSync(capture, 'w');
const recorded = new Capture((bytes) => void writeSync(file, bytes));
const guestWorker = new URL('./guest-worker.js', import.meta.url);
let failed = 0;
console.log('features                     transport  pings   frames     Mpps   interrupts  wrong');
for (const set of FEATURE_SETS) {
  const result = await runSet(set, count, guestWorker);
  recorded.add(set.name, result.sent);
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
console.log(`${recorded.writer.frames} frames are in ${capture}`);
process.exitCode = failed === 0 ? 0 : 1;
