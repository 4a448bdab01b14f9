import { type GivenPosition, inspectRing } from '@ringwire/ring-oracle';
import { DEVICE_STATUS, featuresToBigInt } from '@ringwire/virtio-spec';
import type { DeviceQueue, QueueState } from '@ringwire/virtqueue';
import { statusNames } from './offered-features.js';
import { QUEUE_AREA, type QueueSlot } from './queue-slot.js';
import { SpaceReader } from './space-reader.js';
import type { VirtioDevice } from './virtio-device.js';

const { DRIVER_OK, FAILED, DEVICE_NEEDS_RESET, SUSPEND } = DEVICE_STATUS;

/**
 * Why nothing moves, in sentences, the most telling first: status, features, bus mastering, and for each queue what its
 * ring says. Reads guest memory and changes nothing there; behind an IOMMU, looking at an address that is not mapped is
 * recorded as a fault, as the device's own access would be.
 */
export function explainDevice(device: VirtioDevice): string[] {
  const why = [...whyNotRunning(device)];
  for (const slot of device.queues) {
    if (slot.sizeMax > 0) why.push(...whyQueue(device, slot).map((sentence) => `Queue ${slot.index}: ${sentence}`));
  }
  return [...why, ...device.explainTransport()];
}

function whyNotRunning(device: VirtioDevice): string[] {
  const { status, featuresRefusal, statusProblem, resetReason } = device;
  const why: string[] = [];
  if ((status & DEVICE_NEEDS_RESET) !== 0) why.push(`The device needs a reset: ${resetReason}.`);
  if ((status & FAILED) !== 0) why.push('The driver has given up: it set FAILED.');
  if ((status & SUSPEND) !== 0) why.push('The driver suspended the device: it has to write DRIVER_OK to go on.');
  if (featuresRefusal !== undefined) why.push(`FEATURES_OK was refused: ${featuresRefusal}.`);
  if (statusProblem !== undefined) why.push(`A status bit was ignored: ${statusProblem}.`);
  if ((status & (DRIVER_OK | SUSPEND)) === 0)
    why.push(`DRIVER_OK is not set: the status is 0x${status.toString(16)} (${statusNames(status)}).`);
  if (!device.dmaEnabled) why.push('The function may do no DMA: bus mastering is off.');
  return why;
}

function whyQueue(device: VirtioDevice, slot: QueueSlot): string[] {
  const { queue, refusal } = slot;
  if (queue === undefined)
    return [refusal === undefined ? 'it is not enabled.' : `enabling it was refused: ${refusal}.`];
  // Its ring says nothing about a device that does not look at it.
  return device.live ? whyRing(device, slot, queue) : [];
}

function whyRing(device: VirtioDevice, slot: QueueSlot, queue: DeviceQueue): string[] {
  const { space } = device;
  const address = (area: number): bigint => BigInt(slot.address(area));
  const features = Uint32Array.from([0, 1, 2, 3], (select) => device.driverFeatures(select));
  space.enter();
  try {
    const report = inspectRing({
      memory: new SpaceReader(space),
      layout: queue.layout,
      size: queue.size,
      desc: address(QUEUE_AREA.desc),
      driver: address(QUEUE_AREA.driver),
      device: address(QUEUE_AREA.device),
      features: featuresToBigInt(features),
      ...positionsOf(queue),
    });
    return [...report.why];
  } finally {
    space.leave();
  }
}

/** Where the device is; left to the oracle to infer while buffers are in flight, or used and not yet published. */
function positionsOf(queue: DeviceQueue): { lastAvail?: GivenPosition; used?: GivenPosition } {
  const state = savedState(queue);
  if (state === undefined) return {};
  if (state.layout === 'split') return { lastAvail: { index: state.lastAvailIdx }, used: { index: state.usedIdx } };
  return {
    lastAvail: { index: state.lastAvailIdx, wrap: state.lastAvailWrapCounter },
    used: { index: state.usedIdx, wrap: state.usedWrapCounter },
  };
}

function savedState(queue: DeviceQueue): QueueState | undefined {
  try {
    return queue.save();
  } catch {
    return undefined;
  }
}
