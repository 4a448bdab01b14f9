import { readFileSync } from 'node:fs';
import type { CaseResult } from './case-result.js';
import type { ClaimFigure } from './claims/index.js';
import type { CompareFigure } from './compare-figures.js';
import type { V86Figure } from './embed/v86-figures.js';
import type { FailoverFigure } from './failover/failover-figures.js';
import type { Machine } from './machine.js';
import type { MigrateFigure } from './migrate/migrate-figures.js';
import type { ShadowFigure } from './migrate/shadow-figures.js';
import type { OffloadFigure } from './offload-figures.js';
import type { ParityFigure } from './parity-figures.js';
import { DISTURBED, type IommuRatio, type PeerRatio, type Results } from './run-cases.js';
import type { VhostFigure } from './vhost-figures.js';

/** The bench's JSON; more keys may join, these stay what they are. */
export interface BenchJson {
  readonly schema: 1;
  readonly machine: Machine;
  readonly cases: readonly CaseResult[];
  readonly ratios: readonly (PeerRatio | IommuRatio)[];
  readonly offloads: readonly OffloadFigure[];
  readonly vhost: readonly VhostFigure[];
  readonly compare: readonly CompareFigure[];
  readonly parity: readonly ParityFigure[];
  readonly failover: readonly FailoverFigure[];
  readonly migrate: readonly MigrateFigure[];
  readonly shadow: readonly ShadowFigure[];
  readonly embed: readonly V86Figure[];
  readonly claims: readonly ClaimFigure[];
}

/** Keys of what is measured beside cases: empty where nothing of the kind was. */
export type FurtherFigures = Omit<BenchJson, 'schema' | 'machine' | 'cases' | 'ratios'>;

const NOTHING: FurtherFigures = {
  offloads: [],
  vhost: [],
  compare: [],
  parity: [],
  failover: [],
  migrate: [],
  shadow: [],
  embed: [],
  claims: [],
};

export function benchJson(
  machine: Machine,
  { cases, ratios, iommuRatios }: Results,
  further: Partial<FurtherFigures> = {},
): BenchJson {
  return { schema: 1, machine, cases, ratios: [...ratios, ...iommuRatios], ...NOTHING, ...further };
}

export const jsonText = (json: BenchJson): string => `${JSON.stringify(json, null, 2)}\n`;

/**
 * Figures of an earlier run, by case name: nsPerFrame. Disturbed ones are left out. Empty when there is no such file or it is another format: a
 * comparison that can't be made is left out.
 */
export function earlierFigures(file: string): Map<string, number> {
  const figures = new Map<string, number>();
  try {
    const json: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isObject(json)) return figures;
    const { schema, cases } = json;
    if (schema !== 1 || !Array.isArray(cases)) return figures;
    for (const item of cases as unknown[]) {
      if (!isObject(item)) continue;
      const { name, nsPerFrame, otherCores } = item;
      if (typeof otherCores === 'number' && otherCores > DISTURBED) continue;
      if (typeof name === 'string' && typeof nsPerFrame === 'number' && nsPerFrame > 0) figures.set(name, nsPerFrame);
    }
  } catch {
    return figures;
  }
  return figures;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
