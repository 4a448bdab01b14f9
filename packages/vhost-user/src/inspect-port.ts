import { GuestMemory, type HostMemory } from '@ringwire/guest-memory';
import type { MemoryReader } from '@ringwire/ring-oracle';
import {
  type DeviceSnapshot,
  deviceTypeName,
  explainSnapshot,
  featureSet,
  hexBytes,
  newDeviceCounters,
  type QueueSnapshot,
  queueSnapshot,
  type Reason,
  SNAPSHOT_SCHEMA,
  SpaceReader,
} from '@ringwire/virtio-device';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { DeviceFacts } from './device-facts.js';
import type { Session } from './session.js';
import type { Vring } from './vring.js';

/** A device behind a socket as data, with or without a front-end. Nothing is changed by it. */
export function snapshotPort(facts: DeviceFacts, session: Session | undefined): DeviceSnapshot {
  const { port } = session ?? {};
  return {
    schema: SNAPSHOT_SCHEMA,
    deviceId: facts.deviceId,
    deviceType: deviceTypeName(facts.deviceId),
    status: session?.status ?? 0,
    statusNames: [],
    live: port?.isRunning ?? false,
    dmaEnabled: true,
    offered: featureSet(session?.featuresOffered ?? facts.features, facts.deviceId),
    accepted: featureSet(port?.features ?? new Uint32Array(facts.features.length), facts.deviceId),
    featuresRefusal: null,
    statusProblem: null,
    resetReason: port?.broken ?? null,
    config: { generation: 0, bytes: hexBytes(facts.config) },
    counters: { ...newDeviceCounters(), kicks: port?.kicks ?? 0, usedNotifications: port?.callsSent ?? 0 },
    queues: session === undefined ? [] : queuesOf(session),
    transport: {
      kind: 'vhost-user',
      connected: session !== undefined,
      regions: session?.table.count ?? 0,
      refusal: session?.refusal ?? null,
      vrings: (port?.vrings ?? []).map(({ started, enabled, kick, call }) => ({
        started,
        enabled,
        kick: kick >= 0,
        call: call >= 0,
      })),
    },
    model: facts.snapshot?.() ?? null,
    unreachable: [],
  };
}

function queuesOf(session: Session): QueueSnapshot[] {
  const { port, table } = session;
  const addressOf = isTranslated(session) ? (at: number): number => at : (at: number): number => table.gpaOf(at);
  return port.vrings.map((vring) => snapshotVring(vring, addressOf));
}

/** @param addressOf what the device reaches at an address of the front-end's, or -1 */
function snapshotVring(vring: Vring, addressOf: (at: number) => number): QueueSnapshot {
  const { index, sizeMax, size, addresses, queue, runs } = vring;
  const hex = (at: number | undefined): string => `0x${Math.max(0, at === undefined ? 0 : addressOf(at)).toString(16)}`;
  const registers = {
    index,
    sizeMax,
    size,
    enabled: runs,
    refusal: null,
    desc: hex(addresses?.desc),
    driver: hex(addresses?.avail),
    device: hex(addresses?.used),
  };
  return queueSnapshot(registers, queue);
}

/**
 * Why nothing moves through a device behind a socket, the most telling first. Reads the front-end's memory; rings behind
 * an IOMMU of the guest's are left alone, because looking would ask the front-end for translations.
 * @param host that memory of front-ends is laid over
 */
export function explainPort(facts: DeviceFacts, session: Session | undefined, host: HostMemory): Reason[] {
  const snapshot = snapshotPort(facts, session);
  if (session === undefined) return explainSnapshot(snapshot, new SpaceReader(new GuestMemory(host, [])));
  return explainSnapshot(snapshot, isTranslated(session) ? UNKNOWN : new SpaceReader(session.table.space));
}

const isTranslated = ({ port }: Session): boolean => hasFeature(port.features, VIRTIO_F.ACCESS_PLATFORM);

/** Memory of which nothing is known. */
const UNKNOWN: MemoryReader = {
  read: () => null,
  probe: (address) => ({ state: 'unsaved', at: address }),
};
