import { type Profiler, Session } from 'node:inspector/promises';

/** Where the packages' own code is, built or not. */
const OURS = /\/packages\/[^/]+\/(dist|src)\//;
/** What a profile calls time in which nothing ran. */
const IDLE = '(idle)';
/** Between two samples, µs. */
const INTERVAL = 200;

/** Do something under V8's profiler. @returns the part of this thread's busy time that it was in code of our packages */
export async function shareOfOurs(work: () => Promise<unknown>): Promise<number> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: INTERVAL });
    await session.post('Profiler.start');
    await work();
    const { profile } = await session.post('Profiler.stop');
    return ourShare(profile);
  } finally {
    session.disconnect();
  }
}

/** By functions' own time: what they call that is not ours does not count. */
export function ourShare({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): number {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  let ours = 0;
  let all = 0;
  for (const [index, id] of samples.entries()) {
    const { functionName, url } = frames.get(id)!;
    // A sample's time is until the next one.
    const time = timeDeltas[index + 1] ?? 0;
    if (functionName === IDLE) continue;
    all += time;
    if (OURS.test(url)) ours += time;
  }
  return ours / all;
}
