import type { DeviceModel } from '@ringwire/virtio-device';
import {
  FEATURE_WORDS,
  featureName,
  featuresToBigInt,
  featureWords,
  hasFeature,
  VIRTIO_F,
  VIRTIO_ID,
  VirtioError,
} from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';

/** Which layouts of rings a device takes. */
export type RingLayouts = 'both' | 'split' | 'packed';

/** What rings can do, whatever the device's type. The last two have to be offered. */
const OFFERED = [
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
] as const;
/** Linux makes no network device with the first one, and its driver takes none with the others and not the first. */
const NO_CONTROL = [VIRTIO_NET_F.CTRL_VQ, VIRTIO_NET_F.MQ, VIRTIO_NET_F.GUEST_ANNOUNCE] as const;
/** Those that the kernel has room for. */
const WORDS = 2;

/**
 * Features that a device offers to the kernel, as words 0–3 and as a number.
 * @throws VirtioError for a device that Linux takes none of
 */
export function featuresOffered(model: DeviceModel, layouts: RingLayouts): { words: Uint32Array; bits: bigint } {
  const isNet = model.deviceId === VIRTIO_ID.NET;
  for (const bit of isNet ? NO_CONTROL : [])
    if (hasFeature(model.features, bit))
      throw new VirtioError('model.features', featureName(bit, VIRTIO_ID.NET), 'no control queue, one pair', 'VDUSE');
  const words = featureWords(OFFERED.filter((bit) => layouts !== 'split' || bit !== VIRTIO_F.RING_PACKED));
  for (let word = 0; word < FEATURE_WORDS; word++)
    words[word] = word < WORDS ? words[word]! | (model.features[word] ?? 0) : 0;
  return { words, bits: featuresToBigInt(words) };
}
