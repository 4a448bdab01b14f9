import {
  VIRTIO_IOMMU_FAULT,
  VIRTIO_IOMMU_FAULT_F,
  VIRTIO_IOMMU_FAULT_R,
  VIRTIO_IOMMU_PROBE_PROPERTY,
  VIRTIO_IOMMU_PROBE_RESV_MEM,
  VIRTIO_IOMMU_PROBE_T,
  VIRTIO_IOMMU_PROBE_T_MASK,
  VIRTIO_IOMMU_RESV_MEM_T,
} from '@ringwire/virtio-spec/iommu';

/** A region that the driver is not to map, cut to the addresses below 2^53; `end` is its last one. */
export interface ProbedRegion {
  readonly kind: 'reserved' | 'msi';
  readonly start: number;
  readonly end: number;
}

/** A fault report, as far as it says something. */
export interface IommuFault {
  /** Of `VIRTIO_IOMMU_FAULT_R`. */
  readonly reason: number;
  readonly endpoint: number;
  readonly read: boolean;
  readonly write: boolean;
  /** Exact below 2^53; undefined when the report has none. */
  readonly address: number | undefined;
}

const TOP = Number.MAX_SAFE_INTEGER;

/**
 * The reserved regions of a property list. What is not understood is passed over, by its length and not by what its
 * type would suggest; the list ends with an empty property, or where a property would go on past it.
 * @param list the driver's own copy
 * @see virtio 1.4 §5.13.6.7.1, §5.13.6.8.1.1
 */
export function parseProperties(list: Uint8Array): ProbedRegion[] {
  const { type: typeAt, length: lengthAt, SIZE } = VIRTIO_IOMMU_PROBE_PROPERTY;
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
  const regions: ProbedRegion[] = [];
  for (let at = 0; at + SIZE <= list.length; ) {
    const word = view.getUint16(at + typeAt, true);
    const type = word & VIRTIO_IOMMU_PROBE_T_MASK;
    const reserved = word & ~VIRTIO_IOMMU_PROBE_T_MASK;
    const end = at + SIZE + view.getUint16(at + lengthAt, true);
    if (type === VIRTIO_IOMMU_PROBE_T.NONE || end > list.length) break;
    if (type === VIRTIO_IOMMU_PROBE_T.RESV_MEM && reserved === 0 && end - at >= VIRTIO_IOMMU_PROBE_RESV_MEM.SIZE) {
      const region = parseRegion(view, at);
      if (region !== undefined) regions.push(region);
    }
    at = end;
  }
  return regions;
}

function parseRegion(view: DataView, at: number): ProbedRegion | undefined {
  const subtype = view.getUint8(at + VIRTIO_IOMMU_PROBE_RESV_MEM.subtype);
  const start = address(view, at + VIRTIO_IOMMU_PROBE_RESV_MEM.start);
  const end = Math.min(address(view, at + VIRTIO_IOMMU_PROBE_RESV_MEM.end), TOP);
  if (start > end) return undefined;
  return { kind: subtype === VIRTIO_IOMMU_RESV_MEM_T.MSI ? 'msi' : 'reserved', start, end };
}

/**
 * @param report the driver's own copy, `VIRTIO_IOMMU_FAULT.SIZE` bytes
 * @returns undefined for a report that is to be ignored
 * @see virtio 1.4 §5.13.6.9.1
 */
export function parseFault(report: Uint8Array): IommuFault | undefined {
  const view = new DataView(report.buffer, report.byteOffset, report.byteLength);
  const at = VIRTIO_IOMMU_FAULT;
  for (let byte = at.reserved; byte < at.flags; byte++) if (report[byte] !== 0) return undefined;
  const flags = view.getUint32(at.flags, true);
  const reason = report[at.reason]!;
  const { UNKNOWN, MAPPING } = VIRTIO_IOMMU_FAULT_R;
  return {
    reason: reason <= MAPPING ? reason : UNKNOWN,
    endpoint: view.getUint32(at.endpoint, true),
    read: (flags & VIRTIO_IOMMU_FAULT_F.READ) !== 0,
    write: (flags & VIRTIO_IOMMU_FAULT_F.WRITE) !== 0,
    address: (flags & VIRTIO_IOMMU_FAULT_F.ADDRESS) !== 0 ? address(view, at.address) : undefined,
  };
}

const address = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
