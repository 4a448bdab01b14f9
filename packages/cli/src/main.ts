#!/usr/bin/env node
import { run } from './run.js';

// https://no-color.org: any value but the empty one.
const { NO_COLOR: noColor = '' } = process.env;
process.exitCode = await run(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  color: process.stdout.isTTY === true && noColor === '',
  ...(process.stderr.isTTY === true ? { liveColumns: () => process.stderr.columns } : {}),
});
