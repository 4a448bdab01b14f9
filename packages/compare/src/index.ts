export type { Architecture, Machine, Station } from './architecture.js';
export { ARCHITECTURES } from './architectures.js';
export type { Ledger } from './ledger.js';
export { type CompareOptions, type Comparison, compareArchitectures } from './measure.js';
export { comparisonPage, comparisonTable } from './table.js';
