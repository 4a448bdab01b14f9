import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLAIMS, formatClaim, lineRates, measureClaim } from 'bench/claims';
import { Command, InvalidArgumentError } from 'commander';
import { plotSvg } from './plot.js';
import { problemsOf, trafficText } from './report.js';
import { runCard } from './run-card.js';
import { FUNCTIONS } from './topology.js';

// A card with one port of 10 Gbit/s and eight virtual functions of three kinds, each in a guest of its own. Card and guests run
// in threads. Two functions have a rate limit, one guest forges addresses, one sends PAUSE frames. Then what the literature says
// of such cards is measured, in virtual time where it is about rates.
const command = new Command('eight-vfs')
  .description('Eight virtual functions of three kinds on one card, and what is said of such cards, measured.')
  .argument('[seconds]', 'how long the guests send', positive, 3)
  .argument('[plot]', 'SVG file to write', join(tmpdir(), 'eight-vfs.svg'))
  .option('--no-claims', 'leave the claims out')
  .addHelpText(
    'after',
    '\nExit code: 0, 1 when a limit, a check of the host, or a claim in virtual time did not hold, 2 for a wrong argument.',
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse();
const [seconds, plot] = command.processedArgs as [number, string];
const { claims } = command.opts<{ readonly claims: boolean }>();

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0 && number <= 100)) throw new InvalidArgumentError('Want seconds above 0, at most 100.');
  return number;
}

const result = await runCard(FUNCTIONS, seconds, {
  card: new URL('./card-worker.js', import.meta.url),
  guest: new URL('./guest-worker.js', import.meta.url),
});
console.log(
  `${FUNCTIONS.length} guests, a thread each, and a thread for the card, for ${result.seconds.toFixed(1)} s\n`,
);
console.log(trafficText(FUNCTIONS, result));
let failed = 0;
for (const problem of problemsOf(FUNCTIONS, result)) {
  failed++;
  console.log(`FAILED: ${problem}`);
}
if (claims) {
  console.log('what is said of such cards, and what is measured:');
  for (const claim of CLAIMS) {
    const figure = await measureClaim(claim, true);
    if (!figure.holds && !figure.isWallTime) failed++;
    process.stdout.write(formatClaim(figure));
  }
}
const kinds = [...new Set(FUNCTIONS.map(({ kind }) => kind))];
const rates = kinds.map((kind) => ({ kind, rates: lineRates(kind, { virtualMicroseconds: 4000 }) }));
writeFileSync(plot, plotSvg(FUNCTIONS, result, rates));
console.log(`\nplot: ${plot}`);
process.exitCode = failed === 0 ? 0 : 1;
