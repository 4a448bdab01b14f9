import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_IOMMU_CONFIG, VIRTIO_IOMMU_CONFIG_SIZE, VIRTIO_IOMMU_F } from '@ringwire/virtio-spec/iommu';

/** The device configuration space, as the transport gives it to a driver. */
export interface DeviceConfigAccess {
  read(offset: number, into: Uint8Array): void;
  write(offset: number, bytes: Uint8Array): void;
}

/** What a driver makes of the configuration, within what it negotiated. */
export interface IommuLimits {
  /** Bytes; a power of two. */
  readonly granule: number;
  readonly firstAddress: number;
  /** At most 2^53-1. */
  readonly lastAddress: number;
  readonly firstDomain: number;
  readonly lastDomain: number;
  /** 0 without PROBE. */
  readonly probeSize: number;
}

/** More properties than this are no use to a driver that knows one kind. */
const PROBE_SIZE_MAX = 0x1_0000;
const TOP = Number.MAX_SAFE_INTEGER;
const F = VIRTIO_IOMMU_F;

/** The device features that this driver accepts, out of those offered. @see virtio 1.4 §5.13.3.1, §5.13.5.1 */
export function acceptIommuFeatures(offered: Uint32Array): Uint32Array {
  const accepted = new Uint32Array(offered.length);
  for (const bit of [F.INPUT_RANGE, F.DOMAIN_RANGE, F.MAP_UNMAP, F.PROBE, F.MMIO, F.BYPASS_CONFIG])
    if (hasFeature(offered, bit)) accepted[bit >>> 5]! |= 1 << (bit & 31);
  return accepted;
}

/** @returns what to keep to, or a sentence that says why the device is of no use */
export function readIommuLimits(config: DeviceConfigAccess, features: Uint32Array): IommuLimits | string {
  if (!hasFeature(features, F.MAP_UNMAP)) return 'the device does not offer MAP_UNMAP (virtio 1.4 §5.13.5)';
  const bytes = new Uint8Array(VIRTIO_IOMMU_CONFIG_SIZE);
  config.read(0, bytes);
  const view = new DataView(bytes.buffer);
  const word = (at: number): number => view.getUint32(at, true);
  const long = (at: number): number => word(at + 4) * 0x1_0000_0000 + word(at);
  const at = VIRTIO_IOMMU_CONFIG;

  const granule = lowestBit(word(at.page_size_mask.at), word(at.page_size_mask.at + 4));
  if (granule === 0) return 'page_size_mask has no page size below 2^53 (virtio 1.4 §5.13.4)';
  const input = hasFeature(features, F.INPUT_RANGE);
  const firstAddress = input ? long(at.input_range_start.at) : 0;
  const lastAddress = input ? Math.min(long(at.input_range_end.at), TOP) : TOP;
  if (firstAddress > lastAddress) return 'input_range has no address below 2^53 (virtio 1.4 §5.13.4)';
  const domains = hasFeature(features, F.DOMAIN_RANGE);
  const firstDomain = domains ? word(at.domain_range_start.at) : 0;
  const lastDomain = domains ? word(at.domain_range_end.at) : 0xffff_ffff;
  if (firstDomain > lastDomain) return 'domain_range ends before it starts (virtio 1.4 §5.13.4)';
  const probeSize = hasFeature(features, F.PROBE) ? word(at.probe_size.at) : 0;
  if (probeSize > PROBE_SIZE_MAX) return `probe_size is ${probeSize}, more than ${PROBE_SIZE_MAX} (virtio 1.4 §5.13.4)`;
  return { granule, firstAddress, lastAddress, firstDomain, lastDomain, probeSize };
}

/** The lowest set bit below bit 53 as a number, or 0. */
function lowestBit(low: number, high: number): number {
  if (low !== 0) return (low & -low) >>> 0;
  const bit = (high & 0x1f_ffff & -(high & 0x1f_ffff)) >>> 0;
  return bit * 0x1_0000_0000;
}
