export { IxgbeCard, type IxgbeCardOptions } from './card.js';
export { ixgbePhysical, ixgbeSriov, ixgbeVirtual } from './functions.js';
export {
  IXGBE_SCRATCH_BYTES,
  type IxgbeFunctionOptions,
  type IxgbePort,
} from './ixgbe-function.js';
export type { CardStatistics, FunctionStatistics } from './statistics.js';
