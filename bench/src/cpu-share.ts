import { readFileSync } from 'node:fs';

/** /proc/stat counts in hundredths of a second wherever Linux runs. */
const TICK_SECONDS = 0.01;
/** Fields of its first line: user, nice, system, irq, softirq and steal; idle and iowait are no work. */
const BUSY_FIELDS = [0, 1, 2, 5, 6, 7];

/** Seconds of all cores that were not idle since boot; undefined where there is no /proc/stat. */
function busySeconds(): number | undefined {
  try {
    const fields = readFileSync('/proc/stat', 'latin1').split('\n')[0]!.trim().split(/\s+/).slice(1).map(Number);
    return BUSY_FIELDS.reduce((sum, field) => sum + (fields[field] ?? 0), 0) * TICK_SECONDS;
  } catch {
    return undefined;
  }
}

function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/**
 * Watch how much of the machine others use, so that a figure made while they did is known as one.
 * @returns a function that tells the cores that neither this process nor `exempt` seconds of its children account for,
 *          on average since then; undefined where it can't be known
 */
export function watchOthers(): (exempt?: number) => number | undefined {
  const busy = busySeconds();
  const own = ownSeconds();
  const since = performance.now();
  return (exempt = 0) => {
    const now = busySeconds();
    const wall = (performance.now() - since) / 1000;
    if (busy === undefined || now === undefined || wall === 0) return undefined;
    return Math.max(0, now - busy - (ownSeconds() - own) - exempt) / wall;
  };
}

/** Seconds of processor time that a running child has used so far; 0 when it cannot be told. */
export function childSeconds(pid: number): number {
  try {
    // Fields behind the command's closing bracket begin with the state, field 3; utime and stime are 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_SECONDS;
  } catch {
    return 0;
  }
}
