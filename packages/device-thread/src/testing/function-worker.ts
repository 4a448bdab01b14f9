import { parentPort, workerData } from 'node:worker_threads';
import type { LinkPlace } from '../device-link.js';
import { FunctionServer, type ReachableFunction } from '../function-server.js';

// Functions that keep what was written to their BAR 1; a value written to BAR 0 comes back as a message after a step.
const { places } = workerData as { places: LinkPlace[] };
const server = new FunctionServer(places);
const due: [number, number][] = [];
const functions = places.map((_, at): ReachableFunction => {
  const kept = new Map<number, number>();
  return {
    configRead: (offset) => at * 0x1000 + offset,
    configWrite: () => {},
    barRead: (bar, offset) => (bar === 1 ? (kept.get(offset) ?? 0) : 0),
    barWrite: (bar, offset, _size, value) => {
      if (bar === 1) kept.set(offset, value);
      else due.push([at, value]);
    },
  };
});
server.run({
  functions,
  step: () => {
    for (const [at, value] of due) server.message(at, 0xfee0_0000, 0, value, 1);
    return due.splice(0).length;
  },
  deadline: () => Number.POSITIVE_INFINITY,
});
parentPort?.postMessage('closed');
