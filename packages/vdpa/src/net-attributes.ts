import { featureName, hasFeature, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_LIMITS, VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { VDPA } from './vdpa-outcome.js';
import { refusal, type VdpaAttributes, type VdpaRefusal } from './vdpa-parent.js';

const BITS = 128;

/** Attributes of a network device that its parent can give it, with nothing left open. */
export interface NetAttributes {
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly pairs: number;
  readonly features: Uint32Array;
}

/** What a parent gives where nothing is asked for, and the most that it can. */
export interface NetDefaults {
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly pairsMax: number;
  readonly features: Uint32Array;
}

/** Check what was asked for, which is foreign. */
export function netAttributes(asked: VdpaAttributes, defaults: NetDefaults): NetAttributes | VdpaRefusal {
  const { mac = defaults.mac, mtu = defaults.mtu, maxPairs = defaults.pairsMax, features = defaults.features } = asked;
  const isStation = mac.length === 6 && (mac[0]! & 1) === 0 && mac.some((byte) => byte !== 0);
  if (!isStation) return refusal(VDPA.INVALID, `mac is ${macText(mac)}, want 6 bytes of a station, not zero`);
  const { min, max } = VIRTIO_NET_CONFIG_LIMITS.mtu;
  if (!Number.isInteger(mtu) || mtu < min || mtu > max)
    return refusal(VDPA.INVALID, `mtu is ${mtu}, want ${min} to ${max}`);
  if (!Number.isInteger(maxPairs) || maxPairs < 1 || maxPairs > defaults.pairsMax)
    return refusal(VDPA.INVALID, `max_vqp is ${maxPairs}, want 1 to ${defaults.pairsMax}`);
  const strange = Array.from({ length: BITS }, (_, bit) => bit).find(
    (bit) => hasFeature(features, bit) && !hasFeature(defaults.features, bit),
  );
  if (strange !== undefined) {
    const name = featureName(strange, VIRTIO_ID.NET);
    return refusal(VDPA.INVALID, `device_features has ${name}, want features of the management device`);
  }
  return { mac: mac.slice(), mtu, pairs: maxPairs, features: features.slice() };
}

/** Group 0 is the data queues', group 1 the control queue's, whose index depends on MQ. virtio 1.4 §5.1.2 */
export function netGroupOf(pairs: number): (index: number, features: Uint32Array) => number {
  return (index, features) => {
    if (!hasFeature(features, VIRTIO_NET_F.CTRL_VQ)) return 0;
    const isMulti = hasFeature(features, VIRTIO_NET_F.MQ) || hasFeature(features, VIRTIO_NET_F.RSS);
    return index === (isMulti ? 2 * pairs : 2) ? 1 : 0;
  };
}

export const macText = (mac: Uint8Array): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
