import type { FieldRow, TableOf } from './layout.js';

/** virtio 1.4 §5.13.2 Virtqueues of an IOMMU device, by index. */
export const VIRTIO_IOMMU_VQ = { request: 0, event: 1 } as const;

/** virtio 1.4 §5.13.3 Feature bits of an IOMMU device, by bit number. BYPASS_CONFIG supersedes BYPASS. */
export const VIRTIO_IOMMU_F = {
  INPUT_RANGE: 0,
  DOMAIN_RANGE: 1,
  MAP_UNMAP: 2,
  BYPASS: 3,
  PROBE: 4,
  MMIO: 5,
  BYPASS_CONFIG: 6,
} as const;

type IommuFeature = keyof typeof VIRTIO_IOMMU_F;

/** One field of the configuration: it means something when `feature` is offered, always where there is none. */
interface IommuConfigRow extends FieldRow {
  readonly bytes: 1 | 3 | 4 | 8;
  readonly access: 'ro' | 'rw';
  readonly feature?: IommuFeature;
}

/** virtio 1.4 §5.13.4 Device configuration layout, struct virtio_iommu_config. The two ranges include both ends. */
export const VIRTIO_IOMMU_CONFIG = {
  page_size_mask: { at: 0, bytes: 8, access: 'ro' },
  input_range_start: { at: 8, bytes: 8, access: 'ro', feature: 'INPUT_RANGE' },
  input_range_end: { at: 16, bytes: 8, access: 'ro', feature: 'INPUT_RANGE' },
  domain_range_start: { at: 24, bytes: 4, access: 'ro', feature: 'DOMAIN_RANGE' },
  domain_range_end: { at: 28, bytes: 4, access: 'ro', feature: 'DOMAIN_RANGE' },
  probe_size: { at: 32, bytes: 4, access: 'ro', feature: 'PROBE' },
  bypass: { at: 36, bytes: 1, access: 'rw', feature: 'BYPASS_CONFIG' },
  reserved: { at: 37, bytes: 3, access: 'ro' },
} as const;

/** Name of a field of {@link VIRTIO_IOMMU_CONFIG}. */
export type IommuConfigField = keyof TableOf<IommuConfigRow, typeof VIRTIO_IOMMU_CONFIG>;

/** Bytes of the whole structure. */
export const VIRTIO_IOMMU_CONFIG_SIZE = 40;

/**
 * virtio 1.4 §5.13.6 Device operations: struct virtio_iommu_req_head starts the device-readable part of every request.
 * `reserved` has 3 bytes.
 */
export const VIRTIO_IOMMU_REQ_HEAD = { type: 0, reserved: 1, SIZE: 4 } as const;

/** virtio 1.4 §5.13.6: struct virtio_iommu_req_tail ends the device-writable part. `reserved` has 3 bytes. */
export const VIRTIO_IOMMU_REQ_TAIL = { status: 0, reserved: 1, SIZE: 4 } as const;

/** virtio 1.4 §5.13.6: `type` of a request. */
export const VIRTIO_IOMMU_T = { ATTACH: 1, DETACH: 2, MAP: 3, UNMAP: 4, PROBE: 5 } as const;

/** virtio 1.4 §5.13.6: `status` of a request. */
export const VIRTIO_IOMMU_S = {
  OK: 0,
  IOERR: 1,
  UNSUPP: 2,
  DEVERR: 3,
  INVAL: 4,
  RANGE: 5,
  NOENT: 6,
  FAULT: 7,
  NOMEM: 8,
} as const;

/** virtio 1.4 §5.13.6.3 ATTACH request. SIZE is the device-readable part, as in all requests here. */
export const VIRTIO_IOMMU_REQ_ATTACH = { domain: 4, endpoint: 8, flags: 12, reserved: 16, SIZE: 20 } as const;

/** virtio 1.4 §5.13.6.3: `flags` of an ATTACH request. */
export const VIRTIO_IOMMU_ATTACH_F = { BYPASS: 1 } as const;

/** virtio 1.4 §5.13.6.4 DETACH request. `reserved` has 8 bytes. */
export const VIRTIO_IOMMU_REQ_DETACH = { domain: 4, endpoint: 8, reserved: 12, SIZE: 20 } as const;

/** virtio 1.4 §5.13.6.5 MAP request. Its 64-bit fields are 8 bytes apart from the start, so aligned to 8. */
export const VIRTIO_IOMMU_REQ_MAP = {
  domain: 4,
  virt_start: 8,
  virt_end: 16,
  phys_start: 24,
  flags: 32,
  SIZE: 36,
} as const;

/** virtio 1.4 §5.13.6.5: `flags` of a MAP request. */
export const VIRTIO_IOMMU_MAP_F = { READ: 1, WRITE: 2, MMIO: 4 } as const;

/** virtio 1.4 §5.13.6.6 UNMAP request. */
export const VIRTIO_IOMMU_REQ_UNMAP = { domain: 4, virt_start: 8, virt_end: 16, reserved: 24, SIZE: 28 } as const;

/** virtio 1.4 §5.13.6.7 PROBE request. `reserved` has 64 bytes; probe_size bytes of properties precede the tail. */
export const VIRTIO_IOMMU_REQ_PROBE = { endpoint: 4, reserved: 8, SIZE: 72 } as const;

/**
 * virtio 1.4 §5.13.6.7: struct virtio_iommu_probe_property. The 16-bit `type` has the type in its low 12 bits and 4
 * reserved ones; `length` counts the bytes behind this header.
 */
export const VIRTIO_IOMMU_PROBE_PROPERTY = { type: 0, length: 2, SIZE: 4 } as const;

/** virtio 1.4 §5.13.6.7: the bits of a property's `type` that are the type. */
export const VIRTIO_IOMMU_PROBE_T_MASK = 0xfff;

/** virtio 1.4 §5.13.6.8 PROBE properties. NONE ends the list (§5.13.6.7). */
export const VIRTIO_IOMMU_PROBE_T = { NONE: 0, RESV_MEM: 1 } as const;

/** virtio 1.4 §5.13.6.8.1 Property RESV_MEM, its header included. `reserved` has 3 bytes; the range includes `end`. */
export const VIRTIO_IOMMU_PROBE_RESV_MEM = { subtype: 4, reserved: 5, start: 8, end: 16, SIZE: 24 } as const;

/** virtio 1.4 §5.13.6.8.1: `subtype` of a reserved region. */
export const VIRTIO_IOMMU_RESV_MEM_T = { RESERVED: 0, MSI: 1 } as const;

/** virtio 1.4 §5.13.6.9 Fault reporting, struct virtio_iommu_fault. `reserved` has 3 bytes, `reserved1` 4. */
export const VIRTIO_IOMMU_FAULT = {
  reason: 0,
  reserved: 1,
  flags: 4,
  endpoint: 8,
  reserved1: 12,
  address: 16,
  SIZE: 24,
} as const;

/** virtio 1.4 §5.13.6.9: `flags` of a fault report. */
export const VIRTIO_IOMMU_FAULT_F = { READ: 1, WRITE: 2, ADDRESS: 0x100 } as const;

/** virtio 1.4 §5.13.6.9: `reason` of a fault report. */
export const VIRTIO_IOMMU_FAULT_R = { UNKNOWN: 0, DOMAIN: 1, MAPPING: 2 } as const;
