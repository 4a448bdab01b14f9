import { VIRTIO_IOMMU_FAULT_R, VIRTIO_IOMMU_S } from '@ringwire/virtio-spec/iommu';

/** What a virtio-iommu device counted since it was made; a reset leaves it alone. */
export interface VirtioIommuCounters {
  /** Requests answered, per `VIRTIO_IOMMU_S` status. */
  readonly answered: Float64Array;
  /** Buffers of the request queue given back unwritten: of an unknown type, or PROBE that is not offered. */
  unknownRequests: number;
  /** The same, because the device-writable part has no room for the tail. */
  requestsWithoutTail: number;
  /** The same, because the descriptor chain is faulty; the queue's own counters say how. */
  faultyRequestChains: number;
  /** DMA requests blocked, per `VIRTIO_IOMMU_FAULT_R` reason. */
  readonly faults: Float64Array;
  /** DMA requests blocked and not reported, because no such endpoint was added. */
  unknownEndpoints: number;
  /** Fault reports written. */
  reports: number;
  /** Fault reports dropped because no buffer was there. */
  reportsWithoutBuffer: number;
  /** Fault reports dropped because the buffer was too small or its descriptor chain faulty; it went back unwritten. */
  reportsUnfit: number;
}

export function newVirtioIommuCounters(): VirtioIommuCounters {
  return {
    answered: new Float64Array(Object.keys(VIRTIO_IOMMU_S).length),
    unknownRequests: 0,
    requestsWithoutTail: 0,
    faultyRequestChains: 0,
    faults: new Float64Array(Object.keys(VIRTIO_IOMMU_FAULT_R).length),
    unknownEndpoints: 0,
    reports: 0,
    reportsWithoutBuffer: 0,
    reportsUnfit: 0,
  };
}
