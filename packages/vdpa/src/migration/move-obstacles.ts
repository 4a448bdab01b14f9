import { DEVICE_STATUS, FEATURE_WORDS, featureName, hasFeature, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { VdpaAbilities, VdpaDevice } from '../vdpa-device.js';
import type { DeviceImage, QueuePlace } from './device-image.js';

const BITS = 32 * FEATURE_WORDS;

/** Whether a driver can change the device by commands. */
export const hasCommands = ({ deviceId, driverFeatures, status }: VdpaDevice): boolean =>
  deviceId === VIRTIO_ID.NET &&
  (status & DEVICE_STATUS.DRIVER) !== 0 &&
  hasFeature(driverFeatures, VIRTIO_NET_F.CTRL_VQ);

/**
 * Why a running device cannot be moved to another one, before anything is done to either; empty when it can. A feature that
 * stands in the way is named.
 * @param places the queues of the source that are ready
 * @param copiesMemory the guest's memory is copied while it runs, rather than shared by both
 */
export function moveObstacles(
  source: VdpaDevice,
  target: VdpaDevice,
  places: readonly QueuePlace[],
  copiesMemory = false,
): string[] {
  const { deviceId, driverFeatures: features, configBytes } = source;
  const queues = places.map((place) => ({ ...place, space: source.groupSpace(source.queueGroup(place.index)) }));
  return [
    ...sourceObstacles(source, copiesMemory),
    ...fitProblems({ deviceId, features, configBytes, queues, commands: hasCommands(source) }, target),
  ];
}

/** Why a device cannot be moved anywhere; empty when nothing of its own stands in the way. */
export function sourceObstacles(source: VdpaDevice, copiesMemory: boolean): string[] {
  const { abilities } = source;
  const obstacles = abilityObstacles(abilities, copiesMemory);
  if (hasCommands(source) && !abilities.typeState)
    obstacles.push('VIRTIO_NET_F_CTRL_VQ was accepted, and the source does not tell what commands made of it');
  return obstacles;
}

/** What a source cannot do, and would have to. */
export function abilityObstacles(
  abilities: Pick<VdpaAbilities, 'suspend' | 'resume' | 'dirty'>,
  copiesMemory: boolean,
): string[] {
  const obstacles: string[] = [];
  if (!abilities.suspend) obstacles.push('the source cannot be suspended: it would go on writing while it is read');
  if (!abilities.resume) obstacles.push('the source cannot be resumed: a move that fails would end the guest');
  if (copiesMemory && !abilities.dirty)
    obstacles.push('the source does not tell which memory it writes: what was copied would be out of date');
  return obstacles;
}

/** Why a device cannot take an image; undefined when nothing is known to be in the way. */
export function imageProblem(image: DeviceImage, target: VdpaDevice): string | undefined {
  if (target.status !== 0) return `the target has status 0x${target.status.toString(16)}, want one after a reset`;
  return fitProblems({ ...image, configBytes: image.config.length, commands: image.state.length > 0 }, target)[0];
}

/** What a target has to be able to take. */
export interface Fit {
  readonly deviceId: number;
  readonly features: Uint32Array;
  readonly configBytes: number;
  readonly queues: readonly { readonly index: number; readonly size: number; readonly space: number }[];
  /** What commands made of the device is to be taken over. */
  readonly commands: boolean;
}

/** Why a target cannot take what fits so, each reason by name. */
export function fitProblems({ deviceId, features, configBytes, queues, commands }: Fit, target: VdpaDevice): string[] {
  if (deviceId !== target.deviceId) return [`the device type is ${deviceId}, and the target’s is ${target.deviceId}`];
  const problems: string[] = [];
  if (target.abilities.state !== 'any') problems.push('the target starts every ring at its start, and nowhere else');
  if (commands && !target.abilities.typeState)
    problems.push('VIRTIO_NET_F_CTRL_VQ was accepted, and the target takes nothing of what commands made');
  for (let bit = 0; bit < BITS; bit++)
    if (hasFeature(features, bit) && !hasFeature(target.deviceFeatures, bit))
      problems.push(`${featureName(bit, deviceId)} (bit ${bit}) was accepted, and the target does not offer it`);
  if (configBytes !== target.configBytes)
    problems.push(`the configuration has ${configBytes} bytes, and the target’s has ${target.configBytes}`);
  const { queueCount, queueSizeMin, queueSizeMax, spaceCount } = target;
  for (const { index, size, space } of queues) {
    if (index >= queueCount) problems.push(`queue ${index} is ready, and the target has ${queueCount} queues`);
    if (size < queueSizeMin || size > queueSizeMax)
      problems.push(`queue ${index} has size ${size}, and the target takes ${queueSizeMin} to ${queueSizeMax}`);
    if (space >= spaceCount)
      problems.push(`queue ${index} lies in address space ${space}, and the target has ${spaceCount}`);
  }
  return problems;
}
