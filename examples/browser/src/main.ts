import { Command, InvalidArgumentError } from 'commander';
import { addressOf, buildSite, serveSite } from './site.js';

// Two guests that ping each other through a switch, on a page: bundles it, serves it with the headers that shared memory asks
// for, and says where.
const { port } = new Command('browser')
  .description('A page with two guests that ping each other through a switch.')
  .option('--port <number>', 'TCP port to serve the page on', portOf, 8080)
  .addHelpText(
    'after',
    '\nOn any other server than this one the page runs too, without threads: /open/ is what that looks like.',
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse()
  .opts<{ port: number }>();

function portOf(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65535)
    throw new InvalidArgumentError('Want an integer from 0, for any that is free, to 65535.');
  return number;
}

const deviceWorker = new URL('device-worker.bundle.js', import.meta.resolve('@ringwire/device-thread'));
const files = await buildSite({ deviceWorker });
const server = await serveSite(files, port);
console.log(`the page is at ${addressOf(server)}; Ctrl+C ends it`);
console.log(`two Linux machines in v86: ${addressOf(server)}v86/`);
console.log(`without threads, as on a server without the headers: ${addressOf(server)}open/`);
