export type { AsidMappings, AsidSpace } from './asid-space.js';
export { VhostVdpaNode, VirtioVdpaDevice, vhostVdpa, virtioVdpa } from './bus-drivers.js';
export { ControlVdpa, type ControlVdpaConfig } from './control-vdpa.js';
export { DomainMappings } from './domain-mappings.js';
export { DomainSpace } from './domain-space.js';
export { EventNotifier } from './event-notifier.js';
export { type IhvParentOptions, ihvParent } from './ihv-parent.js';
export type { IhvPlugin } from './ihv-plugin.js';
export { loadParent, type OpenParent } from './load-parent.js';
export { joinParts, splitParts, type VpMember } from './member-parts.js';
export { decodeImage } from './migration/decode-image.js';
export type { DeviceImage, ImageRefusal, QueueImage, QueuePlace } from './migration/device-image.js';
export { isImageRefusal } from './migration/device-image.js';
export { encodeImage } from './migration/encode-image.js';
export { functionObstacles, type PlainFunction } from './migration/function-obstacles.js';
export { GuestPages } from './migration/guest-pages.js';
export { type HandoverClaim, type MoveSide, sharedClaim } from './migration/handover-claim.js';
export {
  MigrationSource,
  type MigrationSourceConfig,
  type MoveReport,
  type SourceState,
} from './migration/migration-source.js';
export { MigrationTarget, type MigrationTargetConfig, type TargetState } from './migration/migration-target.js';
export { loadImage, saveImage, startImage } from './migration/move-image.js';
export { imageProblem, moveObstacles } from './migration/move-obstacles.js';
export type { PreCopyEnd, PreCopyRound, PreCopyRules } from './migration/pre-copy.js';
export { comparedWrites, loggedWrites, type WrittenSource } from './migration/written-sources.js';
export { ModelVdpa, type ModelVdpaConfig } from './model-vdpa.js';
export { type NetAttributes, type NetDefaults, netAttributes } from './net-attributes.js';
export { NetParent, type NetParentConfig, type NetSeat } from './net-parent.js';
export { ProcessMemory } from './process-memory.js';
export {
  type ShadowBack,
  type ShadowChain,
  type ShadowCounters,
  ShadowQueue,
  type ShadowQueueConfig,
} from './shadow-queue.js';
export { ShadowVdpa, type ShadowVdpaConfig } from './shadow-vdpa.js';
export { type SimParentOptions, simParent } from './sim-parent.js';
export { type SiovOptions, siovParent } from './siov-parent.js';
export { TableSpace } from './table-space.js';
export { type BoundDevice, VdpaBus, type VdpaBusDevice, type VdpaBusDriver } from './vdpa-bus.js';
export type {
  DoorbellArea,
  HostRange,
  VdpaAbilities,
  VdpaDevice,
  VdpaMapping,
  VdpaQueueAddresses,
  VdpaStatistic,
} from './vdpa-device.js';
export type { VdpaVectorPlan } from './vdpa-interrupts.js';
export { vdpaJson } from './vdpa-json.js';
export { VDPA, type VdpaOutcome, vdpaOutcomeName } from './vdpa-outcome.js';
export {
  isVdpaRefusal,
  refusal,
  type VdpaAttributes,
  type VdpaHost,
  type VdpaParent,
  type VdpaRefusal,
} from './vdpa-parent.js';
export { devConfigShow, devShow, devVstatsShow, mgmtdevShow, type Shown, type ShownSection } from './vdpa-show.js';
export { type VdpaQueueSetup, VdpaTransport } from './vdpa-transport.js';
export type { ControlFacts, ControlProblem, ControlRing, VendorControl } from './vendor-control.js';
export type { VhostIotlb } from './vhost-iotlb.js';
export { VHOST_BACKEND_F, VhostVdpa } from './vhost-vdpa.js';
export type { VdpaMessage, VirtioRegisters } from './virtio-registers.js';
export { VpParent } from './vp-parent.js';
export { VpVdpa, type VpVdpaConfig } from './vp-vdpa.js';
