export { BrokenPromise } from './contract-checks.js';
export {
  CONTRACT_RAM_BYTES,
  type ContractCase,
  type ContractMachine,
  type MakeContractMachine,
} from './contract-machine.js';
export {
  Killed,
  type MoveOutcome,
  type MovePlan,
  MovingGuest,
  type MovingGuestOptions,
  type MovingPlace,
} from './moving-guest.js';
export { MovingRam } from './moving-ram.js';
export { MOVING_WIRE_BYTES, MovingWire } from './moving-wire.js';
export { vdpaContract } from './vdpa-contract.js';
