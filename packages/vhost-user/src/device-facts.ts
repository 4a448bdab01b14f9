import { VDPA, type VdpaDevice } from '@ringwire/vdpa';
import type { DeviceModel } from '@ringwire/virtio-device';
import { FEATURE_WORDS, featureWords, VIRTIO_F, VIRTIO_ID, VirtioError } from '@ringwire/virtio-spec';
import { PROTOCOL_F } from './messages.js';
import type { SessionDevice } from './session.js';

/** What rings and the protocol can do where they are run here, whatever the device's type. */
const OWN_RINGS: Uint32Array = featureWords([
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
]);
/** What of a vDPA device's rings reaches a driver through kicks and calls. Mappings are the host's own matter. */
const VDPA_RINGS: Uint32Array = featureWords([
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.ORDER_PLATFORM,
]);
/** Bits of device types. virtio 1.4 §2.2 */
const TYPE_BITS: Uint32Array = featureWords([
  ...Array.from({ length: 24 }, (_, bit) => bit),
  ...Array.from({ length: 78 }, (_, at) => 50 + at),
]);

/** What only a network device can do. */
const NET_PROTOCOL: readonly number[] = [PROTOCOL_F.RARP, PROTOCOL_F.NET_MTU];

/** What a session tells and asks of a device, whoever runs its rings. */
export interface DeviceFacts
  extends Pick<DeviceModel, 'deviceId' | 'features' | 'queueSizes' | 'config' | 'featureProblem' | 'snapshot'> {
  /** Features of rings and transports on offer, words 0–3; `features` has those of the type. */
  readonly ringFeatures: Uint32Array;
  /** Protocol features that front-ends are not offered. */
  readonly withoutProtocol: readonly number[];
  /** The device whose rings are run here, for what only such a one does. */
  readonly model: DeviceModel | undefined;
  /** @returns false where it is not to be written */
  writeConfig(at: number, value: number): boolean;
}

/** @throws VirtioError for a vDPA device that front-ends cannot start and stop ring by ring, wherever it stands */
export const factsOf = (device: SessionDevice): DeviceFacts =>
  'model' in device ? modelFacts(device.model) : vdpaFacts(device.vdpa);

function modelFacts(model: DeviceModel): DeviceFacts {
  const isNet = model.deviceId === VIRTIO_ID.NET;
  return {
    ...{ model, deviceId: model.deviceId, queueSizes: model.queueSizes },
    ringFeatures: OWN_RINGS,
    withoutProtocol: isNet ? [] : NET_PROTOCOL,
    get features() {
      return model.features;
    },
    get config() {
      return model.config;
    },
    featureProblem: (features) => model.featureProblem(features),
    snapshot: () => model.snapshot?.(),
    writeConfig(at, value) {
      model.writeConfig(at, 1, value);
      return true;
    },
  };
}

function vdpaFacts(device: VdpaDevice): DeviceFacts {
  const { abilities, deviceFeatures, queueCount } = device;
  const { suspend, resume, keepMaps, readyWhileRunning, state } = abilities;
  const able = { suspend, resume, keepMaps, readyWhileRunning, state: state === 'any' };
  const missing = Object.entries(able).find(([, isThere]) => !isThere);
  if (missing !== undefined)
    throw new VirtioError(
      `abilities.${missing[0]}`,
      'missing',
      'a device that stops and starts ring by ring',
      'vhost-user',
    );
  return {
    model: undefined,
    deviceId: device.deviceId,
    features: both(deviceFeatures, TYPE_BITS),
    ringFeatures: both(deviceFeatures, VDPA_RINGS),
    queueSizes: Array.from({ length: queueCount }, (_, index) => device.queueSize(index)),
    // A card keeps no record of chains in flight, and says nothing in a guest's place.
    withoutProtocol: [PROTOCOL_F.INFLIGHT_SHMFD, ...NET_PROTOCOL],
    get config() {
      return device.readConfig(0, device.configBytes);
    },
    featureProblem: () => undefined,
    snapshot: () => undefined,
    writeConfig: (at, value) => device.writeConfig(at, Uint8Array.of(value)) === VDPA.OK,
  };
}

const both = (a: Uint32Array, b: Uint32Array): Uint32Array =>
  Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => a[word]! & b[word]!);
