import type { ContractCase, MakeContractMachine } from './contract-machine.js';
import { controlCases } from './control-cases.js';
import { moveCases } from './move-cases.js';
import { positionCases } from './position-cases.js';
import { trafficCases } from './traffic-cases.js';

/**
 * What every vendor's add-on promises, as cases for any test runner: each passes, or throws a `BrokenPromise` that says which
 * promise is not kept. Cases that a device's `abilities` leave out pass.
 * @param name of the add-on, in front of every title
 */
export function vdpaContract(name: string, make: MakeContractMachine): ContractCase[] {
  const cases = [
    ...controlCases(make),
    ...[false, true].flatMap((isPacked) => [
      ...trafficCases(make, isPacked),
      ...positionCases(make, isPacked),
      ...moveCases(make, isPacked),
    ]),
  ];
  return cases.map(({ title, run }) => ({ title: `${name}: ${title}`, run }));
}
