import { hasFeature, VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_IOMMU_ATTACH_F,
  VIRTIO_IOMMU_CONFIG,
  VIRTIO_IOMMU_F,
  VIRTIO_IOMMU_MAP_F,
  VIRTIO_IOMMU_REQ_ATTACH,
  VIRTIO_IOMMU_REQ_DETACH,
  VIRTIO_IOMMU_REQ_MAP,
  VIRTIO_IOMMU_REQ_PROBE,
  VIRTIO_IOMMU_REQ_UNMAP,
  VIRTIO_IOMMU_T,
} from '@ringwire/virtio-spec/iommu';
import { type DriverQueue, NO_ROOM } from '@ringwire/virtqueue';
import { type DeviceConfigAccess, type IommuLimits, readIommuLimits } from './virtio-iommu-driver-config.js';
import { type DriverDomain, DriverDomains } from './virtio-iommu-driver-domains.js';
import { EventBuffers } from './virtio-iommu-driver-events.js';
import { type IommuFault, parseProperties } from './virtio-iommu-driver-reports.js';
import { type DriverArea, longField, type RequestField, RequestSlots } from './virtio-iommu-driver-slots.js';

/** What a virtio-iommu driver works with. */
export interface VirtioIommuDriverSetup {
  /** Negotiated features, out of {@link acceptIommuFeatures}. */
  readonly features: Uint32Array;
  readonly config: DeviceConfigAccess;
  readonly request: DriverQueue;
  readonly event: DriverQueue;
  /** For requests: 76 bytes and probe_size for each that is on its way. */
  readonly requestArea: DriverArea;
  /** For fault reports: 24 bytes each. */
  readonly eventArea: DriverArea;
}

/** What endpoints may do with a mapping. */
export interface MapAccess {
  readonly read?: boolean;
  readonly write?: boolean;
  /** The physical range is a device's registers. */
  readonly mmio?: boolean;
}

/** Start the driver's side of a virtio-iommu device. @returns the driver, or a sentence that says why it cannot work */
export function openVirtioIommuDriver(setup: VirtioIommuDriverSetup): VirtioIommuDriver | string {
  const limits = readIommuLimits(setup.config, setup.features);
  return typeof limits === 'string' ? limits : new VirtioIommuDriver(setup, limits);
}

/**
 * The driver's side of a virtio-iommu device. A request method returns a ticket, or NO_ROOM; {@link publish} shows what
 * was asked to the device, and {@link poll} tells per ticket what came of it. What a driver must not or should not ask
 * for is a `VirtioError`. Nothing that the device writes is believed before it is checked.
 * @see virtio 1.4 §5.13
 */
export class VirtioIommuDriver {
  readonly limits: IommuLimits;
  private readonly setup: VirtioIommuDriverSetup;
  private readonly state: DriverDomains = new DriverDomains();
  private readonly requests: RequestSlots;
  private readonly events: EventBuffers;

  constructor(setup: VirtioIommuDriverSetup, limits: IommuLimits) {
    this.setup = setup;
    this.limits = limits;
    this.requests = new RequestSlots(setup.request, setup.requestArea, limits.probeSize);
    this.events = new EventBuffers(setup.event, setup.eventArea);
  }

  /** The field bypass; bits 1 to 7 mean nothing. */
  get bypass(): boolean {
    const byte = new Uint8Array(1);
    this.setup.config.read(VIRTIO_IOMMU_CONFIG.bypass.at, byte);
    return (byte[0]! & 1) !== 0;
  }

  /** Whether endpoints without a domain are to be in bypass mode. */
  set bypass(value: boolean) {
    if (!this.has('BYPASS_CONFIG'))
      throw new VirtioError('bypass', value ? 1 : 0, 'BYPASS_CONFIG negotiated', 'virtio 1.4 §5.13.4.1');
    this.setup.config.write(VIRTIO_IOMMU_CONFIG.bypass.at, Uint8Array.of(value ? 1 : 0));
  }

  /** Ask for an endpoint's reserved regions, which later MAP requests then keep away from. */
  probe(endpoint: number): number {
    if (!this.has('PROBE')) throw new VirtioError('endpoint', endpoint, 'PROBE negotiated', 'virtio 1.4 §5.13.6.7');
    const at = VIRTIO_IOMMU_REQ_PROBE;
    const { probeSize } = this.limits;
    return this.requests.send(VIRTIO_IOMMU_T.PROBE, at.SIZE, probeSize, [[at.endpoint, endpoint]], (ok, list) => {
      if (ok) this.state.probed.set(endpoint, parseProperties(list));
    });
  }

  /**
   * Attach an endpoint to a domain, which is made if there is none of this id.
   * @param bypass what kind the domain is; it keeps it
   */
  attach(endpoint: number, domain: number, bypass = false): number {
    const spec = 'virtio 1.4 §5.13.6.3';
    const { firstDomain, lastDomain } = this.limits;
    if (!(domain >= firstDomain && domain <= lastDomain))
      throw new VirtioError('domain', domain, `${firstDomain} to ${lastDomain}`, 'virtio 1.4 §5.13.6.1');
    if (this.has('PROBE') && !this.state.probed.has(endpoint))
      throw new VirtioError('endpoint', endpoint, 'one that was probed', 'virtio 1.4 §5.13.5.1');
    if (bypass && !this.has('BYPASS_CONFIG')) throw new VirtioError('domain', domain, 'BYPASS_CONFIG negotiated', spec);
    const known = this.state.domains.get(domain);
    if (known !== undefined && known.bypass !== bypass)
      throw new VirtioError('domain', domain, known.bypass ? 'bypass for it' : 'no bypass for it', spec);
    const at = VIRTIO_IOMMU_REQ_ATTACH;
    const fields: RequestField[] = [
      [at.domain, domain],
      [at.endpoint, endpoint],
      [at.flags, bypass ? VIRTIO_IOMMU_ATTACH_F.BYPASS : 0],
    ];
    return this.requests.send(VIRTIO_IOMMU_T.ATTACH, at.SIZE, 0, fields, (ok) => {
      if (ok) this.state.attached(endpoint, domain, bypass);
    });
  }

  detach(endpoint: number): number {
    const domain = this.state.domainIdOf(endpoint);
    if (domain === undefined)
      throw new VirtioError('endpoint', endpoint, 'one that is attached', 'virtio 1.4 §5.13.6.4');
    const at = VIRTIO_IOMMU_REQ_DETACH;
    const fields: RequestField[] = [
      [at.domain, domain],
      [at.endpoint, endpoint],
    ];
    return this.requests.send(VIRTIO_IOMMU_T.DETACH, at.SIZE, 0, fields, (ok) => {
      if (ok) this.state.detached(endpoint);
    });
  }

  /** Map `virtStart` to `virtEnd`, both included, to as many addresses from `physStart` on. */
  map(domain: number, virtStart: number, virtEnd: number, physStart: number, access: MapAccess): number {
    const spec = 'virtio 1.4 §5.13.6.5';
    const known = this.changeable(domain, virtStart, virtEnd, spec);
    const { granule } = this.limits;
    const { read = false, write = false, mmio = false } = access;
    if (virtEnd <= virtStart) throw new VirtioError('virt_end', virtEnd, `more than ${virtStart}`, spec);
    if (virtStart % granule !== 0 || physStart % granule !== 0 || (virtEnd % granule) + 1 !== granule)
      throw new VirtioError('virt_start', virtStart, `whole pages of ${granule} bytes`, spec);
    if (mmio && !this.has('MMIO')) throw new VirtioError('flags', 'MMIO', 'MMIO negotiated', spec);
    const region = this.state.reservedIn(known, virtStart, virtEnd);
    if (region !== undefined)
      throw new VirtioError('virt_start', virtStart, `nothing of ${region.start} to ${region.end}, reserved`, spec);
    if (known.overlaps(virtStart, virtEnd)) throw new VirtioError('virt_start', virtStart, 'unmapped addresses', spec);
    const at = VIRTIO_IOMMU_REQ_MAP;
    const { READ, WRITE, MMIO } = VIRTIO_IOMMU_MAP_F;
    const fields: RequestField[] = [
      [at.domain, domain],
      ...longField(at.virt_start, virtStart),
      ...longField(at.virt_end, virtEnd),
      ...longField(at.phys_start, physStart),
      [at.flags, (read ? READ : 0) | (write ? WRITE : 0) | (mmio ? MMIO : 0)],
    ];
    const ticket = this.requests.send(VIRTIO_IOMMU_T.MAP, at.SIZE, 0, fields, (ok) => {
      if (!ok) known.remove(virtStart, virtEnd);
    });
    if (ticket !== NO_ROOM) known.add(virtStart, virtEnd);
    return ticket;
  }

  /** Unmap all mappings from `virtStart` to `virtEnd`, both included; none may stick out. */
  unmap(domain: number, virtStart: number, virtEnd: number): number {
    const spec = 'virtio 1.4 §5.13.6.6';
    const known = this.changeable(domain, virtStart, virtEnd, spec);
    if (virtEnd < virtStart) throw new VirtioError('virt_end', virtEnd, `at least ${virtStart}`, spec);
    if (known.splits(virtStart)) throw new VirtioError('virt_start', virtStart, 'no address inside a mapping', spec);
    if (known.splits(virtEnd + 1)) throw new VirtioError('virt_end', virtEnd, 'no address inside a mapping', spec);
    const at = VIRTIO_IOMMU_REQ_UNMAP;
    const fields: RequestField[] = [
      [at.domain, domain],
      ...longField(at.virt_start, virtStart),
      ...longField(at.virt_end, virtEnd),
    ];
    return this.requests.send(VIRTIO_IOMMU_T.UNMAP, at.SIZE, 0, fields, (ok) => {
      if (ok) known.remove(virtStart, virtEnd);
    });
  }

  /** Show requests and event buffers to the device. @param notify is called for each queue it is to be notified of */
  publish(notify: (queue: DriverQueue) => void): void {
    for (const queue of [this.setup.event, this.setup.request]) if (queue.publish()) notify(queue);
  }

  /**
   * Take what the device gave back of requests.
   * @param report gets a `VIRTIO_IOMMU_S` status per ticket, or UNANSWERED
   */
  poll(report: (ticket: number, status: number) => void): void {
    this.requests.poll(report);
  }

  /** Take fault reports; {@link publish} gives the device its buffers back. */
  pollFaults(report: (fault: IommuFault) => void): void {
    this.events.poll(report);
  }

  /** The domain, when mappings of these addresses are the driver's to change. */
  private changeable(domain: number, virtStart: number, virtEnd: number, spec: string): DriverDomain {
    const { firstAddress, lastAddress } = this.limits;
    const known = this.state.domains.get(domain);
    if (known === undefined || known.bypass)
      throw new VirtioError('domain', domain, 'one that is attached, without bypass', spec);
    if (!Number.isSafeInteger(virtStart) || virtStart < firstAddress)
      throw new VirtioError('virt_start', virtStart, `at least ${firstAddress}`, 'virtio 1.4 §5.13.6.1');
    if (!Number.isSafeInteger(virtEnd) || virtEnd > lastAddress)
      throw new VirtioError('virt_end', virtEnd, `at most ${lastAddress}`, 'virtio 1.4 §5.13.6.1');
    return known;
  }

  private has(feature: keyof typeof VIRTIO_IOMMU_F): boolean {
    return hasFeature(this.setup.features, VIRTIO_IOMMU_F[feature]);
  }
}
