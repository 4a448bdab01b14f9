import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import { note, problem, type Reason } from './reason.js';
import type { DeviceSnapshot, MsixSnapshot, PciSnapshot } from './snapshot-types.js';

/** Why registers are out of reach, and why interrupts do not arrive. */
export function explainTransport(snapshot: DeviceSnapshot): Reason[] {
  const { transport } = snapshot;
  if (transport.kind === 'pci') return explainPci(snapshot, transport);
  const { interruptStatus } = transport;
  if (interruptStatus === 0) return [];
  return [note(`InterruptStatus is ${interruptStatus} and was not acknowledged: the line is still asserted.`)];
}

function explainPci(snapshot: DeviceSnapshot, pci: PciSnapshot): Reason[] {
  const why: Reason[] = [];
  if (!pci.memoryEnabled)
    why.push(
      problem('Memory space is off in the Command register, or in VF MSE: accesses do not reach the registers.'),
    );
  if (pci.msix?.enabled === true) why.push(...whyNoMessage(snapshot, pci, pci.msix));
  else if (pci.intxDisabled) why.push(problem('MSI-X is off, and the Command register disables the interrupt pin.'));
  else if (pci.isr !== 0) why.push(note(`ISR status is ${pci.isr} and was not read: the pin is still asserted.`));
  return why;
}

function whyNoMessage({ queues, counters, status }: DeviceSnapshot, pci: PciSnapshot, msix: MsixSnapshot): Reason[] {
  const why: Reason[] = [];
  const pending = (vector: number, whose: string): void => {
    const isPending = msix.vectors[vector]?.pending === true;
    if (isPending) why.push(problem(`MSI-X vector ${vector} of ${whose} is pending: ${hold(vector, pci, msix)}.`));
  };
  for (const { index, enabled } of queues) {
    if (!enabled) continue;
    const vector = pci.queueVectors[index] ?? null;
    if (vector === null) why.push(note(`Queue ${index} has no MSI-X vector: nothing interrupts for it.`));
    else pending(vector, `queue ${index}`);
  }
  if (pci.configVector !== null) pending(pci.configVector, 'configuration changes');
  else if ((status & DEVICE_STATUS.DEVICE_NEEDS_RESET) !== 0 && counters.configNotifications > 0)
    why.push(problem('Configuration changes have no MSI-X vector: nothing told the driver that a reset is needed.'));
  return why;
}

function hold(vector: number, pci: PciSnapshot, msix: MsixSnapshot): string {
  const holds = [
    ...(msix.vectors[vector]!.masked ? ['the vector is masked'] : []),
    ...(msix.functionMasked ? ['the function is masked'] : []),
    ...(pci.busMaster ? [] : ['bus mastering is off']),
  ];
  return holds.length === 0 ? 'the function is in a power state that sends nothing' : holds.join(', ');
}
