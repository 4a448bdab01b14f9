import type { ServedPorts } from './serve-ports.js';

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

/** One thing that is measured. */
export interface Metric {
  /** With its prefix, and `_total` behind what only grows. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly labels: readonly string[];
  /** A sentence. */
  readonly help: string;
  /** What there is of it now. */
  samples(served: ServedPorts): Sample[];
}

/** A value for each name, under a label of its own. */
export const byName = (labels: Labels, values: Readonly<Record<string, number>>, label: string): Sample[] =>
  Object.entries(values).map(([name, value]) => [{ ...labels, [label]: name }, value]);

/** Prometheus's text format, version 0.0.4; nothing of what there is none of. */
export function metricText({ name, type, help }: Metric, samples: readonly Sample[]): string[] {
  if (samples.length === 0) return [];
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${labelsText(labels)} ${value}`),
  ];
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, escaped)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (character: string): string => (character === '\n' ? '\\n' : `\\${character}`);
