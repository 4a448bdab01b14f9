import type { FunctionKind, TopologyFunction } from '@ringwire/iommu';
import {
  type FoundFunction,
  PCI_ACS,
  PCI_ACS_SERVICES,
  PCI_CAP_ID,
  PCI_EXP,
  PCI_EXP_CAPABILITIES,
  PCI_EXP_TYPE,
  PCI_EXT_CAP_ID,
  type PciFunction,
  type RootComplex,
} from '@ringwire/pci';

const { SOURCE_VALIDATION, P2P_REQUEST_REDIRECT, P2P_COMPLETION_REDIRECT, UPSTREAM_FORWARDING } = PCI_ACS_SERVICES;
/** Without one of these, requests can turn round below the IOMMU, or carry another's id. */
const NEEDED = SOURCE_VALIDATION | P2P_REQUEST_REDIRECT | P2P_COMPLETION_REDIRECT | UPSTREAM_FORWARDING;
const KINDS: Readonly<Record<number, FunctionKind>> = {
  [PCI_EXP_TYPE.ROOT_PORT]: 'root-port',
  [PCI_EXP_TYPE.UPSTREAM_PORT]: 'upstream-port',
  [PCI_EXP_TYPE.DOWNSTREAM_PORT]: 'downstream-port',
};

/** What the functions of a machine are to isolation, as their registers say now. Those that are not there are left out. */
export function topologyOf(machine: RootComplex, found: readonly FoundFunction[]): TopologyFunction[] {
  const there = found.filter(({ routingId }) => machine.functionAt(routingId)?.removed === false);
  return there.map((one) => {
    const pci = machine.functionAt(one.routingId)!;
    return {
      sourceId: one.routingId,
      kind: kindOf(pci, one),
      ...(one.above === undefined ? {} : { parent: one.above }),
      acs: isApart(pci, one.isBridge),
      isVirtual: one.physicalId !== undefined,
    };
  });
}

function kindOf(pci: PciFunction, { isBridge }: FoundFunction): FunctionKind {
  if (!isBridge) return 'endpoint';
  const at = pci.capabilityAt(PCI_CAP_ID.PCI_EXPRESS);
  if (at < 0) return 'pci-bridge';
  const capabilities = pci.config.get16(at + PCI_EXP.CAPABILITIES);
  return KINDS[(capabilities & PCI_EXP_CAPABILITIES.DEVICE_PORT_TYPE) >> 4] ?? 'pci-bridge';
}

/**
 * Whether ACS is switched on as far as it goes. A port has to have all services; a function of a device counts as having
 * those that its capability leaves out, which then cannot happen in it (PCIe 5.0 §6.12.1.2).
 */
function isApart(pci: PciFunction, isPort: boolean): boolean {
  const at = pci.capabilityAt(PCI_EXT_CAP_ID.ACS, true);
  if (at < 0) return false;
  const needed = isPort ? NEEDED : NEEDED & pci.config.get16(at + PCI_ACS.CAPABILITY);
  return (pci.config.get16(at + PCI_ACS.CONTROL) & needed) === needed;
}

/** Switch on, in every port, the services that keep what is below apart: as a kernel does before it looks at groups. */
export function enableAcs(machine: RootComplex, found: readonly FoundFunction[]): void {
  for (const { routingId } of found) {
    const at = machine.functionAt(routingId)?.capabilityAt(PCI_EXT_CAP_ID.ACS, true) ?? -1;
    if (at < 0) continue;
    const services = machine.configRead(routingId, at + PCI_ACS.CAPABILITY, 2);
    machine.configWrite(routingId, at + PCI_ACS.CONTROL, 2, services & NEEDED);
  }
}
