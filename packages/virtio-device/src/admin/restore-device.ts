import { ACCESS } from '@ringwire/guest-memory';
import { DEVICE_STATUS, hasFeature, VIRTIO_F, VIRTQ_USED } from '@ringwire/virtio-spec';
import { COMMON_CFG } from '@ringwire/virtio-spec/transport';
import type { QueueState } from '@ringwire/virtqueue';
import { KEPT } from '../queue-keeper.js';
import { QUEUE_AREA } from '../queue-slot.js';
import type { VirtioPci } from '../virtio-pci.js';
import { type DeviceState, hasStarted, type QueueRegisters } from './device-state.js';
import type { CommonPart } from './read-parts.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, SUSPEND, DEVICE_NEEDS_RESET, FAILED } = DEVICE_STATUS;
const AREAS = Object.values(QUEUE_AREA);

/**
 * Bring a device into a state that another one had, through the doors that a driver has: reset, features, queues, start.
 * The device is stopped and not at work; nothing moves before it goes on. A queue that cannot be where the state has it
 * leaves a device that needs a reset.
 * @param kept where it stands in its queues the device's keeper knows, not the state
 */
export function restoreDevice(virtio: VirtioPci, state: DeviceState, kept = false): void {
  const { device, common } = virtio;
  const { status } = state;
  const set = (field: CommonPart | 'queue_msix_vector', value: number): void =>
    common.registers.write(COMMON_CFG[field].at, COMMON_CFG[field].bytes, value);
  device.reset();
  for (const [word, features] of state.features.entries()) device.acceptFeatures(word, features);
  for (const bit of [ACKNOWLEDGE, DRIVER, FEATURES_OK])
    if ((status & bit) !== 0) device.writeStatus(device.status | bit);
  for (const [index, registers] of state.queues) {
    set('queue_select', index);
    set('queue_msix_vector', registers.vector);
    restoreQueue(virtio, index, registers, state, kept);
  }
  if (hasStarted(state)) {
    device.writeStatus(device.status | DRIVER_OK);
    for (const part of state.ofType) device.model.typeParts?.set(part);
  }
  // A suspended device takes no vector.
  for (const [field, value] of state.common) if (COMMON_CFG[field].access === 'rw') set(field, value);
  if ((status & SUSPEND) !== 0) device.writeStatus(device.status | SUSPEND);
  for (const [index, { enabled }] of state.queues)
    if (enabled === 1 && !device.queues[index]!.enabled)
      device.needsReset(`queue ${index} cannot be restored: ${device.queues[index]!.refusal}`);
  if ((status & DEVICE_NEEDS_RESET) !== 0) device.needsReset('it did where its state came from');
  if ((status & FAILED) !== 0) device.writeStatus(device.status | FAILED);
}

function restoreQueue(
  virtio: VirtioPci,
  index: number,
  registers: QueueRegisters,
  state: DeviceState,
  kept: boolean,
): void {
  const { device } = virtio;
  const slot = device.writableQueue(index);
  if (slot === undefined) return;
  slot.writeSize(registers.size, hasFeature(state.features, VIRTIO_F.RING_PACKED));
  for (const area of AREAS) {
    const [lo, hi] = registers.areas[area]!;
    // An address that was never written is one that the driver still owes.
    if (lo === 0 && hi === 0 && registers.enabled === 0) continue;
    slot.writeAddress(area, false, lo);
    slot.writeAddress(area, true, hi);
  }
  if (registers.enabled === 0) return;
  const position = kept ? KEPT : (state.positions.get(index) ?? publishedPosition(virtio, index, state));
  if (position === undefined) slot.refusal = 'where the device stood in the ring is not known';
  else device.enableQueue(index, position);
}

/**
 * Where a device stands that was stopped as virtio 1.4 §2.12.1.4.3.4 wants it, with everything used that it had taken: in
 * a split ring at the used index. A packed ring does not say.
 */
function publishedPosition({ device }: VirtioPci, index: number, { features }: DeviceState): QueueState | undefined {
  if (hasFeature(features, VIRTIO_F.RING_PACKED)) return undefined;
  const { space } = device;
  space.enter();
  const offset = space.resolve(device.queues[index]!.address(QUEUE_AREA.device) + VIRTQ_USED.idx, 2, ACCESS.READ);
  const usedIdx = offset < 0 || (offset & 1) !== 0 ? undefined : Atomics.load(space.memory.u16, offset >>> 1);
  space.leave();
  return usedIdx === undefined ? undefined : { layout: 'split', lastAvailIdx: usedIdx, usedIdx };
}
