import {
  DEVICE_STATUS,
  FEATURE_WORDS,
  featureName,
  featureUse,
  featureWords,
  hasFeature,
  VIRTIO_F,
  VirtioError,
} from '@ringwire/virtio-spec';
import type { DeviceModel } from './device-model.js';

const BITS = FEATURE_WORDS * 32;

/** What every transport can carry, and our rings, registers and status machine implement. virtio 1.4 §6 */
const COMMON = [
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.NOTIFICATION_DATA,
  VIRTIO_F.RING_RESET,
  VIRTIO_F.SUSPEND,
] as const;

/** A device whose memory accesses the platform translates or restricts is like an add-in card. virtio 1.4 §6.2 */
const PLATFORM = [VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.ORDER_PLATFORM] as const;

/**
 * Feature words 0–3 that a device offers: those of its type, of its rings and registers, and of its transport.
 * @param mask words 0–3 that may be offered, everything unless given; VERSION_1 and, behind an IOMMU, ACCESS_PLATFORM
 *             are offered all the same
 * @param translated whether the platform translates or restricts the device's memory accesses
 * @param transport  bits of §6 that only this transport has
 * @throws VirtioError for a type that offers bits that are not its own, or a mask that leaves a bit without what it needs
 */
export function offeredFeatures(
  model: DeviceModel,
  mask: Uint32Array | undefined,
  translated: boolean,
  transport: readonly number[],
): Uint32Array {
  for (const bit of bitsOf(model.features)) {
    if (featureUse(bit) === 'device-type') continue;
    throw new VirtioError(
      'features',
      featureName(bit, model.deviceId),
      'feature bits of a device type',
      'virtio 1.4 §2.2',
    );
  }
  const offered = featureWords([...COMMON, ...(translated ? PLATFORM : []), ...transport]);
  for (let word = 0; word < FEATURE_WORDS; word++) {
    offered[word] = (offered[word]! | (model.features[word] ?? 0)) & (mask === undefined ? ~0 : (mask[word] ?? 0));
  }
  const always = featureWords([VIRTIO_F.VERSION_1, ...(translated ? [VIRTIO_F.ACCESS_PLATFORM] : [])]);
  for (let word = 0; word < FEATURE_WORDS; word++) offered[word]! |= always[word]!;
  const problem = model.featureProblem(offered);
  if (problem !== undefined)
    throw new VirtioError('offer', problem, 'no feature without those it needs', 'virtio 1.4 §2.2.2');
  return offered;
}

/**
 * Why FEATURES_OK is refused, or undefined.
 * @param accepted what the driver wrote, foreign
 * @see virtio 1.4 §2.2.2, §6.2
 */
export function acceptanceProblem(model: DeviceModel, offered: Uint32Array, accepted: Uint32Array): string | undefined {
  const strange = bitsOf(accepted.map((word, at) => word & ~offered[at]!));
  if (strange.length > 0) {
    const names = strange.map((bit) => featureName(bit, model.deviceId)).join(', ');
    return `${names} ${strange.length === 1 ? 'was' : 'were'} accepted and not offered`;
  }
  if (!hasFeature(accepted, VIRTIO_F.VERSION_1))
    return 'VIRTIO_F_VERSION_1 was not accepted: there is no legacy interface';
  if (hasFeature(offered, VIRTIO_F.ACCESS_PLATFORM) && !hasFeature(accepted, VIRTIO_F.ACCESS_PLATFORM))
    return 'VIRTIO_F_ACCESS_PLATFORM was not accepted: the device reaches memory through an IOMMU alone';
  return model.featureProblem(accepted);
}

/** The names of the status bits in a byte, in the order in which they are set. @see virtio 1.4 §2.1 */
export function statusNames(status: number): string {
  const names = Object.entries(DEVICE_STATUS).filter(([, bit]) => (status & bit) !== 0);
  return names.length === 0 ? 'none' : names.map(([name]) => name).join(' | ');
}

function bitsOf(words: Uint32Array): number[] {
  return Array.from({ length: BITS }, (_, bit) => bit).filter((bit) => hasFeature(words, bit));
}
