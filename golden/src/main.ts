import { fileURLToPath } from 'node:url';
import { run } from './run.js';

const sets = fileURLToPath(new URL('../sets/', import.meta.url));
process.exitCode = run(process.argv.slice(2), sets, {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
