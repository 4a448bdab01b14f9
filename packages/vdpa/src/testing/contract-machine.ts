import type { HostMemory } from '@ringwire/guest-memory';
import type { VdpaDevice } from '../vdpa-device.js';
import type { VdpaParent } from '../vdpa-parent.js';

/** Bytes of {@link ContractMachine.ram}: memory of the driver, and as much again for another address space. */
export const CONTRACT_RAM_BYTES = 0x20_0000;

/** What the contract runs a parent on. Its devices are network devices, and what they send comes back to them. */
export interface ContractMachine {
  readonly parent: VdpaParent;
  readonly memory: HostMemory;
  /** Host offset, a multiple of 4096, of `CONTRACT_RAM_BYTES` that nobody else uses. */
  readonly ram: number;
  /** Let a device work, and what brings its interrupts; `device.step` unless given. @returns 0 when nothing moved */
  readonly step?: (device: VdpaDevice, budget: number) => number;
  /** Change something of the device's configuration while it runs, where the machine can. */
  readonly changeConfig?: (device: VdpaDevice) => void;
}

/** Makes a machine for one case of the contract; each case has one of its own. */
export type MakeContractMachine = () => ContractMachine;

/** One promise that every device keeps. */
export interface ContractCase {
  readonly title: string;
  /** @throws BrokenPromise naming what was promised */
  run(): void;
}
