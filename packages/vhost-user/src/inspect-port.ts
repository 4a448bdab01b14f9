import { GuestMemory, type HostMemory } from '@ringwire/guest-memory';
import {
  type DeviceModel,
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
import type { MemoryTable } from './memory-table.js';
import type { Session } from './session.js';
import type { Vring } from './vring.js';

/** A device behind a socket as data, with or without a front-end. Nothing is changed by it. */
export function snapshotPort(model: DeviceModel, session: Session | undefined): DeviceSnapshot {
  const { port, table } = session ?? {};
  return {
    schema: SNAPSHOT_SCHEMA,
    deviceId: model.deviceId,
    deviceType: deviceTypeName(model.deviceId),
    status: session?.status ?? 0,
    statusNames: [],
    live: port?.isRunning ?? false,
    dmaEnabled: true,
    offered: featureSet(session?.featuresOffered ?? model.features, model.deviceId),
    accepted: featureSet(port?.features ?? new Uint32Array(model.features.length), model.deviceId),
    featuresRefusal: null,
    statusProblem: null,
    resetReason: port?.broken ?? null,
    config: { generation: 0, bytes: hexBytes(model.config) },
    counters: { ...newDeviceCounters(), kicks: port?.kicks ?? 0, usedNotifications: port?.callsSent ?? 0 },
    queues: port === undefined || table === undefined ? [] : port.vrings.map((vring) => snapshotVring(vring, table)),
    transport: {
      kind: 'vhost-user',
      connected: session !== undefined,
      regions: table?.count ?? 0,
      refusal: session?.refusal ?? null,
      vrings: (port?.vrings ?? []).map(({ started, enabled, kick, call }) => ({
        started,
        enabled,
        kick: kick >= 0,
        call: call >= 0,
      })),
    },
    model: model.snapshot?.() ?? null,
    unreachable: [],
  };
}

function snapshotVring({ index, sizeMax, size, addresses, queue }: Vring, table: MemoryTable): QueueSnapshot {
  const hex = (userspace: number | undefined): string =>
    `0x${Math.max(0, userspace === undefined ? 0 : table.gpaOf(userspace)).toString(16)}`;
  const registers = {
    index,
    sizeMax,
    size,
    enabled: queue !== undefined,
    refusal: null,
    desc: hex(addresses?.desc),
    driver: hex(addresses?.avail),
    device: hex(addresses?.used),
  };
  return queueSnapshot(registers, queue);
}

/**
 * Why nothing moves through a device behind a socket, the most telling first. Reads the front-end's memory.
 * @param host that memory of front-ends is laid over
 */
export function explainPort(model: DeviceModel, session: Session | undefined, host: HostMemory): Reason[] {
  const space = session?.table.space ?? new GuestMemory(host, []);
  return explainSnapshot(snapshotPort(model, session), new SpaceReader(space));
}
