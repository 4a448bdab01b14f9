import { FEATURES } from './features.js';
import { LIFE } from './life.js';
import { RINGS } from './rings.js';
import type { Scenario } from './scenario.js';

/** Everything that a driver is put through, in each cell. */
export const SCENARIOS: readonly Scenario[] = [...LIFE, ...FEATURES, ...RINGS];
