export { IxgbeCard, type IxgbeCardOptions } from './card.js';
export { IXGBE_SCRATCH_BYTES, type IxgbeFunctionOptions, type IxgbePort } from './function-options.js';
export { ixgbePhysical, ixgbeSriov, ixgbeVirtual } from './functions.js';
export type { CardStatistics, FunctionStatistics } from './statistics.js';
