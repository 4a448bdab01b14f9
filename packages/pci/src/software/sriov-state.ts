import { PCI_SRIOV, PCI_SRIOV_CONTROL } from '../capability-layouts.js';
import type { ConfigAccess } from './config-access.js';
import { restoreBars } from './place-bars.js';
import type { FoundFunction } from './scan-buses.js';

const { VF_ENABLE, VF_MSE, ARI_CAPABLE_HIERARCHY } = PCI_SRIOV_CONTROL;
const WRITABLE: number = VF_ENABLE | VF_MSE | ARI_CAPABLE_HIERARCHY;

/** What software keeps of a physical function's SR-IOV registers across a reset, or takes to another card of the kind. */
export interface SriovState {
  readonly totalVfs: number;
  readonly numVfs: number;
  /** The control register, PCIe 5.0 §9.3.3.3. */
  readonly control: number;
  /** One bit, PCIe 5.0 §9.3.3.13. */
  readonly systemPageSize: number;
  readonly vfDeviceId: number;
  /** Virtual functions that are there. */
  readonly functions: number;
}

/**
 * Read a physical function's SR-IOV registers, for {@link restoreSriov}.
 * @param pf found by `scanBuses`
 * @returns undefined for a function without SR-IOV
 */
export function saveSriov(access: ConfigAccess, { routingId, sriov }: FoundFunction): SriovState | undefined {
  if (sriov === undefined) return undefined;
  const read = (field: number, size: 2 | 4): number => access.configRead(routingId, sriov.at + field, size);
  const control = read(PCI_SRIOV.CONTROL, 2);
  const numVfs = read(PCI_SRIOV.NUM_VFS, 2);
  return {
    totalVfs: read(PCI_SRIOV.TOTAL_VFS, 2),
    numVfs,
    control: control & WRITABLE,
    systemPageSize: read(PCI_SRIOV.SYSTEM_PAGE_SIZE, 4),
    vfDeviceId: read(PCI_SRIOV.VF_DEVICE_ID, 2),
    functions: (control & VF_ENABLE) === 0 ? 0 : numVfs,
  };
}

/**
 * Have a physical function's virtual ones be as they were: all of it, or nothing is written. They are off now, as after a reset.
 * @param state foreign
 * @returns why it cannot be
 */
export function restoreSriov(access: ConfigAccess, pf: FoundFunction, state: SriovState): string | undefined {
  const { routingId, sriov } = pf;
  const now = saveSriov(access, pf);
  if (sriov === undefined || now === undefined) return 'the function has no SR-IOV';
  const problem = stateProblem(state, now) ?? pagesProblem(access, pf, state);
  if (problem !== undefined) return problem;
  const write = (field: number, size: 2 | 4, value: number): void =>
    access.configWrite(routingId, sriov.at + field, size, value);
  // Before VF Enable, which freezes them.
  write(PCI_SRIOV.CONTROL, 2, state.control & ARI_CAPABLE_HIERARCHY);
  write(PCI_SRIOV.SYSTEM_PAGE_SIZE, 4, state.systemPageSize);
  write(PCI_SRIOV.NUM_VFS, 2, state.numVfs);
  restoreBars(access, pf);
  write(PCI_SRIOV.CONTROL, 2, state.control);
  return undefined;
}

function stateProblem(state: SriovState, now: SriovState): string | undefined {
  const { totalVfs, numVfs, control, functions, vfDeviceId } = state;
  const isOn = (control & VF_ENABLE) !== 0;
  for (const [field, value] of Object.entries(state))
    if (!Number.isInteger(value) || value < 0) return `${field} is ${value}, want a register's value`;
  if ((now.control & VF_ENABLE) !== 0) return 'VF Enable is set, want a function whose virtual ones are off';
  if (totalVfs !== now.totalVfs) return `TotalVFs is ${totalVfs}, want ${now.totalVfs} (PCIe 5.0 §9.3.3.6)`;
  if (vfDeviceId !== now.vfDeviceId) return `VF Device ID is ${vfDeviceId}, want ${now.vfDeviceId}`;
  if (numVfs > totalVfs) return `NumVFs is ${numVfs}, want at most ${totalVfs} (PCIe 5.0 §9.3.3.7)`;
  if ((control & ~WRITABLE) !== 0) return `the control register is ${control}, want bits of ${WRITABLE} alone`;
  if (!isOn && functions > 0) return `${functions} virtual functions are there while VF Enable is clear`;
  if (isOn && (numVfs === 0 || functions !== numVfs))
    return `${functions} virtual functions are there with VF Enable and NumVFs ${numVfs}`;
  return undefined;
}

/** A page size is one that the function can do. PCIe 5.0 §9.3.3.12, §9.3.3.13 */
function pagesProblem(
  access: ConfigAccess,
  { routingId, sriov }: FoundFunction,
  { systemPageSize: size }: SriovState,
): string | undefined {
  const supported = access.configRead(routingId, sriov!.at + PCI_SRIOV.SUPPORTED_PAGE_SIZES, 4);
  const isOne = size !== 0 && size <= 0xffff_ffff && (size & (size - 1)) === 0 && (size & supported) !== 0;
  return isOne ? undefined : `System Page Size is ${size}, want one of ${supported}`;
}
