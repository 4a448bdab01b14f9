import type { QueueState } from '@ringwire/virtqueue';
import type { DeviceCounters } from '../device-counters.js';

/**
 * What a device and its transport say of themselves at one moment: plain data that survives JSON. It is for looking, not
 * for going on from: what a device type keeps for its work is not in it. Addresses, feature sets and bytes are hex
 * strings, because they need more than 53 bits; names stand beside numbers for people, and are not read back.
 */
export interface DeviceSnapshot {
  readonly schema: typeof SNAPSHOT_SCHEMA;
  /** A `VIRTIO_ID`, and its name there. */
  readonly deviceId: number;
  readonly deviceType: string;
  /** virtio 1.4 §2.1, one byte. */
  readonly status: number;
  readonly statusNames: readonly string[];
  /** Whether queues that are enabled are served. */
  readonly live: boolean;
  readonly dmaEnabled: boolean;
  readonly offered: FeatureSet;
  /** As the driver wrote them; negotiated once FEATURES_OK is set. */
  readonly accepted: FeatureSet;
  readonly featuresRefusal: string | null;
  readonly statusProblem: string | null;
  readonly resetReason: string | null;
  readonly config: ConfigSnapshot;
  readonly counters: Readonly<DeviceCounters>;
  readonly queues: readonly QueueSnapshot[];
  readonly transport: TransportSnapshot;
  /** What the device type adds; null for a type that says nothing. */
  readonly model: ModelSnapshot | null;
  /** Addresses that the rings need, and at which the device reached nothing: hex, ascending. */
  readonly unreachable: readonly string[];
}

/** `schema` of a snapshot: it changes with its shape. */
export const SNAPSHOT_SCHEMA = 'ringwire.device/1';

/** Features as a number and by name. */
export interface FeatureSet {
  /** Bit n is feature n. */
  readonly bits: string;
  readonly names: readonly string[];
}

/** virtio 1.4 §2.5 */
export interface ConfigSnapshot {
  readonly generation: number;
  /** Two digits for each byte. */
  readonly bytes: string;
}

/** A virtqueue's registers, and where the device stands in it. */
export interface QueueSnapshot {
  readonly index: number;
  /** Queue Size that is offered; 0: there is no such queue. */
  readonly sizeMax: number;
  readonly size: number;
  readonly enabled: boolean;
  /** Why the driver's last try to enable it failed. */
  readonly refusal: string | null;
  readonly desc: string;
  readonly driver: string;
  readonly device: string;
  /** What follows is null while the queue is not enabled. */
  readonly layout: 'split' | 'packed' | null;
  /** Null as well while chains are in flight, or used and not published. */
  readonly position: QueueState | null;
  readonly inFlight: number | null;
  /** Name of the `RING_FAULT` that stopped it. */
  readonly ringFault: string | null;
  readonly counters: QueueCountersSnapshot | null;
}

/** What a queue counted since it was enabled. */
export interface QueueCountersSnapshot {
  readonly taken: number;
  readonly used: number;
  /** Notifications that the driver was owed. */
  readonly notifications: number;
  /** By name of the `CHAIN_FAULT`, those that occurred. */
  readonly chainFaults: Readonly<Record<string, number>>;
}

/** What the driver reaches the device by. */
export type TransportSnapshot = PciSnapshot | MmioSnapshot | VhostUserSnapshot | VdpaSnapshot;

/** The registers of virtio 1.4 §4.1 that are not the device's, and those of PCI. */
export interface PciSnapshot {
  readonly kind: 'pci';
  /** Of the Command register; of a virtual function, VF MSE of its physical one. */
  readonly memoryEnabled: boolean;
  readonly busMaster: boolean;
  readonly intxDisabled: boolean;
  /** virtio 1.4 §4.1.4.5; bits that were set and not read. */
  readonly isr: number;
  /** Null without the capability. */
  readonly msix: MsixSnapshot | null;
  /** virtio 1.4 §4.1.5.1.2; null for VIRTIO_MSI_NO_VECTOR. */
  readonly configVector: number | null;
  /** By queue. */
  readonly queueVectors: readonly (number | null)[];
  /** Writes to fields that are read-only, or of values that they do not have. */
  readonly refusedWrites: number;
  /** Notification writes that name no queue. */
  readonly notificationsIgnored: number;
}

/** PCIe 5.0 §7.7.2: as software set it, and what is pending. */
export interface MsixSnapshot {
  readonly enabled: boolean;
  readonly functionMasked: boolean;
  readonly vectors: readonly { readonly masked: boolean; readonly pending: boolean }[];
}

/** The registers of virtio 1.4 §4.2 that are not the device's. */
export interface MmioSnapshot {
  readonly kind: 'mmio';
  /** virtio 1.4 §4.2.2 InterruptStatus; bits that were not acknowledged. */
  readonly interruptStatus: number;
  readonly badAccesses: number;
  readonly refusedAccesses: number;
}

/** A device that a vhost-user front-end drives: it has no registers, and queues have addresses of the guest's. */
export interface VhostUserSnapshot {
  readonly kind: 'vhost-user';
  readonly connected: boolean;
  /** Regions of memory that the front-end has shared. */
  readonly regions: number;
  /** Why the last request that was refused was. */
  readonly refusal: string | null;
  /** By queue. */
  readonly vrings: readonly VringSnapshot[];
}

/** A device behind the operations of vDPA. */
export interface VdpaSnapshot {
  readonly kind: 'vdpa';
  /** The bus driver has it suspended. */
  readonly suspended: boolean;
  /** Address space that each queue's addresses are of. */
  readonly queueSpaces: readonly number[];
  /** Mappings in each address space. */
  readonly mappings: readonly number[];
}

/** What the front-end has done with a ring. A queue runs once its ring is both started and enabled. */
export interface VringSnapshot {
  readonly started: boolean;
  readonly enabled: boolean;
  /** Whether there are events for notifications; without one it is polled. */
  readonly kick: boolean;
  readonly call: boolean;
}

/** A device type that has more to say than its queues. */
export type ModelSnapshot = NetSnapshot;

/** The network device: link, queues in use, counters. */
export interface NetSnapshot {
  readonly type: 'net';
  readonly linkUp: boolean;
  readonly mtu: number;
  /** Pairs of queues that frames go through. */
  readonly pairs: number;
  /** Virtqueue index, or null without CTRL_VQ. */
  readonly controlQueue: number | null;
  /** By name of the `NET_DROP`, those that occurred. */
  readonly drops: Readonly<Record<string, number>>;
  /** Transmit queues, by index, whose next frame the backend had no room for. */
  readonly backendFull: readonly number[];
  /** Queues whose notification waits to be coalesced: virtio 1.4 §5.1.9.5.10. */
  readonly coalescing: readonly number[];
}
