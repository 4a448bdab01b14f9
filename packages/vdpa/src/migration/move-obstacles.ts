import { FEATURE_WORDS, featureName, hasFeature, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { VdpaDevice } from '../vdpa-device.js';
import type { DeviceImage, QueuePlace } from './device-image.js';

const BITS = 32 * FEATURE_WORDS;

/**
 * Why a running device cannot be moved to another one, before anything is done to either; empty when it can. A feature that
 * stands in the way is named.
 * @param places the queues of the source that are ready
 */
export function moveObstacles(source: VdpaDevice, target: VdpaDevice, places: readonly QueuePlace[]): string[] {
  const { abilities } = source;
  const obstacles: string[] = [];
  if (!abilities.suspend) obstacles.push('the source cannot be suspended: it would go on writing while it is read');
  if (!abilities.resume) obstacles.push('the source cannot be resumed: a move that fails would end the guest');
  if (target.abilities.state !== 'any') obstacles.push('the target starts every ring at its start, and nowhere else');
  if (source.deviceId === VIRTIO_ID.NET && hasFeature(source.driverFeatures, VIRTIO_NET_F.CTRL_VQ))
    obstacles.push(
      'VIRTIO_NET_F_CTRL_VQ was accepted, and no position tells what commands of the control queue changed',
    );
  const { deviceId, driverFeatures: features, configBytes } = source;
  obstacles.push(...fitProblems({ deviceId, features, configBytes, queues: places }, target));
  return obstacles;
}

/** Why a device cannot take an image; undefined when nothing is known to be in the way. */
export function imageProblem(image: DeviceImage, target: VdpaDevice): string | undefined {
  if (target.status !== 0) return `the target has status 0x${target.status.toString(16)}, want one after a reset`;
  return fitProblems({ ...image, configBytes: image.config.length }, target)[0];
}

interface Fit {
  readonly deviceId: number;
  readonly features: Uint32Array;
  readonly configBytes: number;
  readonly queues: readonly QueuePlace[];
}

function fitProblems({ deviceId, features, configBytes, queues }: Fit, target: VdpaDevice): string[] {
  if (deviceId !== target.deviceId) return [`the device type is ${deviceId}, and the target’s is ${target.deviceId}`];
  const problems: string[] = [];
  for (let bit = 0; bit < BITS; bit++)
    if (hasFeature(features, bit) && !hasFeature(target.deviceFeatures, bit))
      problems.push(`${featureName(bit, deviceId)} (bit ${bit}) was accepted, and the target does not offer it`);
  if (configBytes !== target.configBytes)
    problems.push(`the configuration has ${configBytes} bytes, and the target’s has ${target.configBytes}`);
  const { queueCount, queueSizeMin, queueSizeMax } = target;
  for (const { index, size } of queues) {
    if (index >= queueCount) problems.push(`queue ${index} is ready, and the target has ${queueCount} queues`);
    if (size < queueSizeMin || size > queueSizeMax)
      problems.push(`queue ${index} has size ${size}, and the target takes ${queueSizeMin} to ${queueSizeMax}`);
  }
  return problems;
}
