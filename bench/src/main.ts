import { styleText } from 'node:util';
import { bench } from './bench.js';
import { EndOfProgram, readOptions } from './options.js';

const out = (text: string): void => void process.stdout.write(text);
const err = (text: string): void => void process.stderr.write(text);
const { NO_COLOR = '' } = process.env;
const coloured = process.stdout.isTTY === true && NO_COLOR === '';

// So that children are ended and their directories removed: they hang on the exit event.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(code));

try {
  const options = readOptions(process.argv.slice(2), { out, err });
  const paint = coloured ? styleText : (_: string, text: string): string => text;
  process.exitCode = await bench(options, { out, err, paint });
} catch (error) {
  if (!(error instanceof EndOfProgram)) throw error;
  process.exitCode = error.exitCode;
}
