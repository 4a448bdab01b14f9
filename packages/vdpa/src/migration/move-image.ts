import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import type { VdpaDevice } from '../vdpa-device.js';
import { VDPA, type VdpaOutcome, vdpaOutcomeName } from '../vdpa-outcome.js';
import { type DeviceImage, type ImageRefusal, type QueueImage, type QueuePlace, refuse } from './device-image.js';
import { hasCommands, imageProblem } from './move-obstacles.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;

/**
 * What another device needs to go on where a suspended one stands.
 * @param places the queues that its driver made ready
 */
export function saveImage(device: VdpaDevice, places: readonly QueuePlace[]): DeviceImage | ImageRefusal {
  if (!device.isSuspended) return refuse('the device is at work, want it suspended');
  const queues: QueueImage[] = [];
  for (const place of [...places].sort((a, b) => a.index - b.index)) {
    const position = device.queueState(place.index);
    if (position === undefined) return refuse(`queue ${place.index} is in the middle of a buffer`);
    queues.push({ ...place, position, space: device.groupSpace(device.queueGroup(place.index)) });
  }
  const { deviceId, driverFeatures, status } = device;
  const state = device.typeState();
  if (state === undefined && hasCommands(device))
    return refuse('VIRTIO_NET_F_CTRL_VQ was accepted, and the device does not tell what commands made of it');
  return {
    deviceId,
    features: driverFeatures.slice(),
    status,
    config: device.readConfig(0, device.configBytes),
    queues,
    state: state ?? new Uint8Array(0),
  };
}

/**
 * Set a device up as an image says, up to DRIVER_OK: it touches no memory until {@link startImage}. Its mappings are the
 * caller's, and lie as those of the source did.
 * @returns why not: the device was reset then, mappings kept where it can, or left alone if it was in use
 */
export function loadImage(device: VdpaDevice, image: DeviceImage): ImageRefusal | undefined {
  const problem = imageProblem(image, device);
  if (problem !== undefined) return refuse(problem);
  const failed = setUp(device, image);
  if (failed === undefined) return undefined;
  const words = device.problem === undefined ? failed : `${failed}: ${device.problem}`;
  device.reset(device.abilities.keepMaps);
  return refuse(words);
}

/**
 * The loaded device goes on. What was made available while nobody looked is looked for, and the driver of each queue is
 * told to look too: whichever side went to sleep wakes. OpenVMM and Firecracker have had guests that did not.
 * @returns why the device does not start
 */
export function startImage(
  device: VdpaDevice,
  image: DeviceImage,
  notifyDriver: (index: number) => void,
): ImageRefusal | undefined {
  if ((image.status & DRIVER_OK) === 0) return undefined;
  device.setStatus(image.status);
  if ((device.status & DRIVER_OK) === 0) return refuse(`DRIVER_OK is not set: ${device.problem}`);
  for (const { index } of image.queues) device.kick(index);
  for (const { index } of image.queues) notifyDriver(index);
  return undefined;
}

/** @returns what the device did not do */
function setUp(device: VdpaDevice, { status, features, queues, state }: DeviceImage): string | undefined {
  const steps = [ACKNOWLEDGE, ACKNOWLEDGE | DRIVER].filter((bits) => (status & bits) === bits);
  for (const bits of steps) {
    const failed = failure(device.setStatus(bits), 'setting the status');
    if (failed !== undefined) return failed;
  }
  if ((status & DRIVER) === 0) return undefined;
  const accepted = failure(device.setDriverFeatures(features), 'accepting features');
  if (accepted !== undefined || (status & FEATURES_OK) === 0) return accepted;
  device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  if ((device.status & FEATURES_OK) === 0) return 'the target does not take these features together';
  const taken = state.length === 0 ? undefined : failure(device.setTypeState(state), 'taking what commands had made');
  if (taken !== undefined) return taken;
  for (const { index, size, addresses, position, space } of queues) {
    const failed =
      failure(intoSpace(device, index, space), `the address space of queue ${index}`) ??
      failure(device.setQueueSize(index, size), `the size of queue ${index}`) ??
      failure(device.setQueueAddresses(index, addresses), `the addresses of queue ${index}`) ??
      failure(device.setQueueState(index, position), `the position of queue ${index}`) ??
      failure(device.setQueueReady(index, true), `starting queue ${index}`);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function intoSpace(device: VdpaDevice, index: number, space: number): VdpaOutcome {
  const group = device.queueGroup(index);
  return device.groupSpace(group) === space ? VDPA.OK : device.setGroupSpace(group, space);
}

const failure = (outcome: VdpaOutcome, what: string): string | undefined =>
  outcome === VDPA.OK ? undefined : `${what} ends with ${vdpaOutcomeName(outcome)}`;
