import { bootedState, guestPartsProblem } from './guest-parts.js';
import { runMachines } from './run-machines.js';

const problem = guestPartsProblem();
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}

console.log('booting a machine, or finding one that has booted …');
const isWhole = await runMachines(await bootedState(), console.log);
process.exit(isWhole ? 0 : 1);
