export { AMDVI_COMMAND, AMDVI_PAGES, AMDVI_WAIT } from './amdvi-commands.js';
export type { AmdViCounters } from './amdvi-counters.js';
export { type AmdViExplanation, type AmdViStep, explainAmdVi } from './amdvi-explain.js';
export { AMDVI_REGISTERS, type AmdViRegister } from './amdvi-registers.js';
export { AmdViUnit, type AmdViUnitConfig } from './amdvi-unit.js';
export { Atc, type AtcCounters, deviceTlbOver } from './atc.js';
export { DebugSpace } from './debug-space.js';
export { DirtyLog, type DirtyLogConfig } from './dirty-log.js';
export { DmaApi, type DmaApiConfig } from './dma-api.js';
export { DmaDebug, type DmaDebugOptions } from './dma-debug.js';
export { DMA_DIRECTION, type DmaDirection } from './dma-direction.js';
export { DMA_MISTAKE, type DmaMistake, type DmaRecord, type DmaReport } from './dma-report.js';
export { IommuDomain, type IommuDomainConfig, type Mapping } from './domain.js';
export { FIRST_STAGE, SECOND_STAGE, type TableFormat } from './domain-tables.js';
export { EventCounter } from './event-counter.js';
export { GART_CACHE, GART_CONTROL, GART_PTE, GART_REGISTERS, Gart, gartEntry } from './gart.js';
export { GuestInvalidations } from './guest-invalidations.js';
export {
  BUS_WORDS,
  type BurstBus,
  evictThread,
  type ForgetTarget,
  InvalidationBus,
  newBusOwner,
} from './invalidation-bus.js';
export { IommuSpace, type IommuSpaceConfig } from './iommu-space.js';
export { Iotlb, type IotlbCounters } from './iotlb.js';
export { type FunctionKind, isolationGroups, type TopologyFunction } from './isolation-groups.js';
export { LoggedQueue, type RingLogging } from './logged-queue.js';
export { LoggedSpace } from './logged-space.js';
export { HostStage, NestedSpace, type NestedSpaceConfig } from './nested-space.js';
export { PageReclaim, type Reclaimed, type SwappedPage } from './page-reclaim.js';
export { type Pin, PinAccount, PinMap, type PinnedRun } from './pin-map.js';
export { type Requesters, RequesterTable, type RequesterTableConfig } from './requester-table.js';
export { type GuestTables, ScalableRequesterTable } from './scalable-requester-table.js';
export {
  type InterruptRegion,
  type MemoryRegion,
  SystemMap,
  type SystemMapConfig,
  type SystemMapCounters,
  type SystemRegion,
  type WindowRegion,
} from './system-map.js';
export {
  type AtsIommu,
  type InvalidationSink,
  type Iommu,
  KEEP,
  NO_PASID,
  newTranslation,
  TRANSLATED,
  type Translated,
  type Translation,
} from './translation.js';
export {
  VFIO,
  type VfioBitmap,
  VfioContainer,
  type VfioContainerConfig,
  VfioGroup,
  type VfioOutcome,
} from './vfio-container.js';
export type { VirtioIommuCounters } from './virtio-iommu-counters.js';
export { VirtioIommu, type VirtioIommuQueues } from './virtio-iommu-device.js';
export {
  type MapAccess,
  openVirtioIommuDriver,
  type VirtioIommuDriver,
  type VirtioIommuDriverSetup,
} from './virtio-iommu-driver.js';
export { acceptIommuFeatures, type DeviceConfigAccess, type IommuLimits } from './virtio-iommu-driver-config.js';
export type { IommuFault } from './virtio-iommu-driver-reports.js';
export { type DriverArea, UNANSWERED } from './virtio-iommu-driver-slots.js';
export {
  type DomainMirror,
  ENDPOINTS_MAX,
  type InclusiveRange,
  type VirtioIommuOptions,
} from './virtio-iommu-options.js';
export type { ReservedRegion } from './virtio-iommu-regions.js';
export { type VtdCacheCounters, type VtdCacheSizes, VtdCaches } from './vtd-caches.js';
export { type VtdCapabilities, type VtdFeatures, vtdCapabilities, vtdCapabilityRegisters } from './vtd-capabilities.js';
export type { VtdInterrupt } from './vtd-event.js';
export { explainWalk, type VtdExplanation, type VtdStep } from './vtd-explain.js';
export { type FaultStage, faultStage } from './vtd-fault-stage.js';
export { type InterruptMessage, newInterruptMessage, REMAPPED, type Remapped } from './vtd-interrupt-remap.js';
export { DEVICE_TLB, type DeviceTlbInvalidation, type InterruptEntryInvalidation } from './vtd-invalidation.js';
export { listMappings, type VtdMapping, type VtdMappingOptions } from './vtd-mappings.js';
export { VTD_FAULT, VTD_FAULT_STYLE, type VtdFaultStyle, vtdFaultName } from './vtd-reasons.js';
export { VTD_REG, type VtdIotlbRegister, type VtdRegister } from './vtd-registers.js';
export { VtdUnit } from './vtd-unit.js';
export type { VtdRegisterValue, VtdUnitConfig } from './vtd-unit-config.js';
