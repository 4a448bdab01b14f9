import type { VdpaDevice } from '../vdpa-device.js';
import { VDPA, type VdpaOutcome, vdpaOutcomeName } from '../vdpa-outcome.js';
import { isVdpaRefusal } from '../vdpa-parent.js';
import type { ContractMachine } from './contract-machine.js';

/** A promise of the operations that a device does not keep. */
export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise';
}

export function holds(condition: boolean, promise: string): void {
  if (!condition) throw new BrokenPromise(promise);
}

/** Two values that survive JSON. */
export function same(actual: unknown, wanted: unknown, promise: string): void {
  const [is, want] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (is !== want) throw new BrokenPromise(`${promise}: is ${is}, want ${want}`);
}

export function ended(outcome: VdpaOutcome, wanted: VdpaOutcome, what: string): void {
  if (outcome === wanted) return;
  throw new BrokenPromise(`${what} ends with ${vdpaOutcomeName(outcome)}, want ${vdpaOutcomeName(wanted)}`);
}

export const worked = (outcome: VdpaOutcome, what: string): void => ended(outcome, VDPA.OK, what);

/** Add a device for the length of a call. */
export function withDevice<T>({ parent }: ContractMachine, use: (device: VdpaDevice) => T): T {
  const device = parent.add('contract0', {});
  if (isVdpaRefusal(device)) throw new BrokenPromise(`a device cannot be added: ${device.message}`);
  try {
    return use(device);
  } finally {
    device.reset();
    parent.remove(device);
  }
}
