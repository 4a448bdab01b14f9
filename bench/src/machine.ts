import { accessSync, constants, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { delimiter, join } from 'node:path';

/** What the figures were made on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly v8: string;
  readonly os: string;
  readonly memoryGiB: number;
  /** Load averages of 1, 5 and 15 minutes before the first case. */
  readonly load: readonly number[];
  /** Where dpdk-testpmd is; null when there is none on PATH. */
  readonly dpdk: string | null;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.versions.node,
    v8: process.versions.v8,
    os: `${type()} ${release()}`,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    load: loadavg().map((load) => Math.round(load * 100) / 100),
    dpdk: findProgram('dpdk-testpmd') ?? null,
  };
}

export function machineLine(machine: Machine): string {
  const { cpu, cores, node, v8, os, memoryGiB, load } = machine;
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB · ${os} · Node ${node} (V8 ${v8}) · load ${load[0]}`;
}

function findProgram(name: string): string | undefined {
  const { PATH = '' } = process.env;
  for (const directory of PATH.split(delimiter)) {
    if (directory === '') continue;
    const file = join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not there: the next directory may have it.
    }
  }
  return undefined;
}

/** Bytes of free huge pages of the default size; 0 where there are none. @param meminfo of /proc/meminfo */
export function freeHugeBytes(meminfo: string): number {
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0);
  return field('HugePages_Free') * field('Hugepagesize') * 1024;
}

/** Numbers of the cores in a list such as `0-2,5`. */
export function coresOf(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  });
}

/** Contents of a file under /proc; empty where there is none. */
export function procFile(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'latin1');
  } catch {
    return '';
  }
}
