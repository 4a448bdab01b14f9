import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import { queuesInUse } from './explain-net.js';
import { note, problem, type Reason } from './reason.js';
import type { DeviceSnapshot, MsixSnapshot, PciSnapshot, VdpaSnapshot, VhostUserSnapshot } from './snapshot-types.js';

/** Why registers are out of reach, and why interrupts do not arrive. */
export function explainTransport(snapshot: DeviceSnapshot): Reason[] {
  const { transport } = snapshot;
  if (transport.kind === 'pci') return explainPci(snapshot, transport);
  if (transport.kind === 'vhost-user') return explainVhostUser(snapshot, transport);
  if (transport.kind === 'vdpa') return explainVdpa(snapshot, transport);
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

function explainVhostUser(
  snapshot: DeviceSnapshot,
  { connected, regions, refusal, vrings }: VhostUserSnapshot,
): Reason[] {
  if (!connected) return [problem('No front-end is connected to the socket.')];
  const why: Reason[] = [];
  if (refusal !== null) why.push(problem(`A request of the front-end was refused: ${refusal}.`));
  // Until a driver is there nothing else is to be expected of a front-end.
  if (regions === 0) return [...why, problem('The front-end has shared no memory: its driver does not run yet.')];
  const used = queuesInUse(snapshot);
  for (const [index, { started, enabled, call }] of vrings.entries()) {
    if (used?.has(index) === false) continue;
    if (!started) why.push(problem('the front-end has not started it: no kick was set.', index));
    else if (!enabled) why.push(problem('the front-end has started it, and not enabled it.', index));
    else if (!call) why.push(note('it has no call event: the front-end has to poll it.', index));
  }
  return why;
}

function explainVdpa({ queues }: DeviceSnapshot, { suspended, queueSpaces, mappings }: VdpaSnapshot): Reason[] {
  const why: Reason[] = suspended ? [problem('The bus driver has suspended the device.')] : [];
  for (const { index, enabled } of queues) {
    const asid = queueSpaces[index];
    if (enabled && asid !== undefined && mappings[asid] === 0)
      why.push(problem(`its addresses are of address space ${asid}, in which nothing is mapped.`, index));
  }
  return why;
}
