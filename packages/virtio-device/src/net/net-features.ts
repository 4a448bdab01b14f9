import { FEATURE_WORDS, featureName, featureWords, hasFeature, VIRTIO_ID, VirtioError } from '@ringwire/virtio-spec';
import { type FeatureRequirement, VIRTIO_NET_F, VIRTIO_NET_F_REQUIRES } from '@ringwire/virtio-spec/net';

const F = VIRTIO_NET_F;
const SPEC = 'virtio 1.4 §5.1.3';

/** What the device can do and offers unless told otherwise. MQ comes with a second pair, STANDBY when asked for. */
const ALL: readonly number[] = Object.values(F).filter((bit) => bit !== F.RSC_EXT && bit !== F.IPSEC);

/** virtio 1.4 §5.1.4.1: features that the requirement table leaves out and that mean nothing without a control queue. */
const WITH_CTRL_VQ: readonly number[] = [F.CTRL_RX_EXTRA, F.HASH_REPORT, F.CTRL_GUEST_OFFLOADS, F.DEVICE_STATS];

/** Features that need a control queue for commands which whoever has it can carry out alone. */
const WITH_ANY_CTRL_VQ: readonly number[] = [F.GUEST_ANNOUNCE, F.MQ];

/** What decides which features a device offers. */
export interface NetFeatureOptions {
  /** Feature bits to offer, in place of all that the device can do. */
  readonly features?: readonly number[];
  /** Feature bits not to offer; what needs them goes as well. */
  readonly without?: readonly number[];
  /** Offer STANDBY: the device stands in for a primary one with the same address. */
  readonly standby?: boolean;
  /**
   * The control queue is somebody else's, such as a vhost-user front-end's, and no queue of this device. MQ and
   * GUEST_ANNOUNCE are offered without CTRL_VQ then, and what needs its other commands is not. The pairs in use are those
   * up to the last one that has a queue which is on.
   */
  readonly externalControl?: boolean;
}

/**
 * Feature words that a device with so many queue pairs offers: nothing without all that it requires.
 * @throws VirtioError for a feature that the device cannot do
 */
export function netFeaturesOffered(options: NetFeatureOptions, pairs: number): Uint32Array {
  for (const bit of options.features ?? []) {
    if (!ALL.includes(bit))
      throw new VirtioError('features', featureName(bit, VIRTIO_ID.NET), 'what NetDevice can do', SPEC);
  }
  const offered = new Set(options.features ?? ALL);
  for (const bit of options.without ?? []) offered.delete(bit);
  const external = options.externalControl === true;
  if (external) offered.delete(F.CTRL_VQ);
  if (pairs === 1) offered.delete(F.MQ);
  if (options.standby !== true) offered.delete(F.STANDBY);
  if (!offered.has(F.CTRL_VQ)) for (const bit of WITH_CTRL_VQ) offered.delete(bit);
  for (let before = -1; before !== offered.size; ) {
    before = offered.size;
    for (const { bit, needs } of requirements(external)) {
      if (!needs.every((anyOf) => anyOf.some((need) => offered.has(need)))) offered.delete(bit);
    }
  }
  return featureWords(offered);
}

/**
 * virtio 1.4 §5.1.3.1: why a driver may not have these features together.
 * @param externalControl as {@link NetFeatureOptions.externalControl}
 */
export function netFeatureProblem(features: Uint32Array, externalControl: boolean): string | undefined {
  for (const { bit, needs } of requirements(externalControl)) {
    if (!hasFeature(features, bit)) continue;
    const missing = needs.find((anyOf) => !anyOf.some((need) => hasFeature(features, need)));
    if (missing === undefined) continue;
    const names = missing.map((need) => featureName(need, VIRTIO_ID.NET)).join(' or ');
    return `${featureName(bit, VIRTIO_ID.NET)} requires ${names} (virtio 1.4 §5.1.3.1)`;
  }
  return undefined;
}

function requirements(externalControl: boolean): readonly FeatureRequirement[] {
  if (!externalControl) return VIRTIO_NET_F_REQUIRES;
  return VIRTIO_NET_F_REQUIRES.filter(({ bit }) => !WITH_ANY_CTRL_VQ.includes(bit));
}

/** No feature at all: what a device has negotiated that is not running. */
export const NO_FEATURES: Uint32Array = new Uint32Array(FEATURE_WORDS);
