export { BrokenPromise } from './contract-checks.js';
export {
  CONTRACT_RAM_BYTES,
  type ContractCase,
  type ContractMachine,
  type MakeContractMachine,
} from './contract-machine.js';
export { vdpaContract } from './vdpa-contract.js';
