export type { AdminOptions } from './admin/administered-model.js';
export type { DevicePart } from './admin/device-part.js';
export type { GroupMember, SriovOwner } from './admin/group-member.js';
export { MemberDevice } from './admin/member-device.js';
export type { Capability, SelfGroupParts } from './admin/self-group.js';
export { TypeState } from './admin/type-state.js';
export { type DeviceCounters, newDeviceCounters } from './device-counters.js';
export type {
  DeviceModel,
  DevicePort,
  SharedMemoryRegion,
  TypeParts,
} from './device-model.js';
export { DeviceReplica, type ReplicaConfig, type ReplicaQueue } from './device-replica.js';
export type { Transport } from './device-runner.js';
export {
  EmbeddedNic,
  type EmbeddedNicOptions,
  type EmbeddingHost,
  type MacPolicy,
  type Received,
} from './embed/embedded-nic.js';
export { restoreFunction, saveFunction, saveKeptFunction } from './embed/function-state.js';
export type { InterruptHost } from './embed/interrupt-gate.js';
export { EntropyModel } from './entropy-model.js';
export { explainDevice } from './explain-device.js';
export { explainSnapshot, inspectQueue } from './inspection/explain-snapshot.js';
export { type Clause, type Reason, sentence } from './inspection/reason.js';
export { RecordedMemory, type SavedPage } from './inspection/recording-reader.js';
export { filesOf, type SavedDevice, type SnapshotFiles, saveDevice, snapshotFiles } from './inspection/save-device.js';
export { snapshotDevice } from './inspection/snapshot-device.js';
export {
  deviceTypeName,
  featureSet,
  hexBytes,
  type QueueRegisters,
  queueSnapshot,
} from './inspection/snapshot-parts.js';
export type * from './inspection/snapshot-types.js';
export { SNAPSHOT_SCHEMA } from './inspection/snapshot-types.js';
export { IommuModel } from './iommu-model.js';
export { SHARED_COMMAND_BYTES_MAX } from './net/control-queue.js';
export type { FrameTrace } from './net/frame-trace.js';
export { NET_SCRATCH_BYTES, NetDevice } from './net/net-device.js';
export { NET_DROP } from './net/net-drop.js';
export type { NetJournal } from './net/net-journal.js';
export type { NetDeviceOptions } from './net/net-options.js';
export type { NetPolicy, NetWishes } from './net/net-policy.js';
export type { HandedFrames, NetParts, NetShare } from './net/net-share.js';
export { CVQ_STAT, RX_STAT, Statistics, TX_STAT } from './net/net-statistics.js';
export { PcapngTrace } from './net/pcapng-trace.js';
export type { VendorData } from './pci-capabilities.js';
export { type RegisterSpace, registersBarBytes } from './pci-layout.js';
export type { QueueKeeper } from './queue-keeper.js';
export { SpaceReader } from './space-reader.js';
export { ChromeTrace, type ChromeTraceOptions } from './trace/chrome-trace.js';
export type { DeviceTrace } from './trace/device-trace.js';
export { VirtioDevice, type VirtioDeviceConfig } from './virtio-device.js';
export { type MmioCounters, VirtioMmio, type VirtioMmioConfig } from './virtio-mmio.js';
export { VirtioPci, type VirtioPciConfig } from './virtio-pci.js';
