import { ACCESS, type HostMemory } from '@ringwire/guest-memory';
import { VIRTIO_IOMMU_FAULT_R, VIRTIO_IOMMU_MAP_F, VIRTIO_IOMMU_VQ } from '@ringwire/virtio-spec/iommu';
import type { DeviceQueue } from '@ringwire/virtqueue';
import { type Iommu, NO_PASID, TRANSLATED, type Translated, type Translation } from './translation.js';
import { IommuConfigSpace } from './virtio-iommu-config.js';
import { newVirtioIommuCounters, type VirtioIommuCounters } from './virtio-iommu-counters.js';
import { DomainTable, type Endpoint, NO_DOMAIN_TAG } from './virtio-iommu-domains.js';
import { FaultReporter } from './virtio-iommu-faults.js';
import { setUp, type VirtioIommuOptions, type VirtioIommuSetup } from './virtio-iommu-options.js';
import { type ReservedRegion, regionAt } from './virtio-iommu-regions.js';
import { RequestServer } from './virtio-iommu-requests.js';

/** What the transport sets up for a device whose driver is ready. */
export interface VirtioIommuQueues {
  readonly memory: HostMemory;
  /** Undefined while the driver has not enabled it, and likewise below. */
  readonly request: DeviceQueue | undefined;
  readonly event: DeviceQueue | undefined;
  /** Notify the driver of used buffers. @param queue of `VIRTIO_IOMMU_VQ` */
  notify(queue: number): void;
  /**
   * A fault is to be reported, in the middle of an endpoint's access. Left out, that is always possible.
   * @returns false when the event queue is not to be touched now; otherwise {@link leave} follows
   */
  enter?(): boolean;
  leave?(): void;
}

/** DMA addresses are below 2^53. */
const TOP = Number.MAX_SAFE_INTEGER;
const READ_WRITE = ACCESS.READ | ACCESS.WRITE;
const REASON = VIRTIO_IOMMU_FAULT_R;
const { OK, PASS_THROUGH, FAULT, BLOCKED, INTERRUPT } = TRANSLATED;

/**
 * A virtio-iommu device: what its driver asked for on the request queue is what its endpoints can reach. The transport
 * around it negotiates features, opens the queues and calls {@link serveRequests} when it is notified.
 *
 * A reserved region is blocked in bypass mode too, and a write to an MSI region is an interrupt request whatever the
 * endpoint is attached to, as on hardware whose interrupt address range is not remapped.
 * @see virtio 1.4 §5.13
 */
export class VirtioIommu implements Iommu {
  readonly counters: VirtioIommuCounters;
  private readonly setup: VirtioIommuSetup;
  private readonly config: IommuConfigSpace;
  private readonly table: DomainTable;
  private queues: VirtioIommuQueues | undefined;
  private requests: RequestServer | undefined;
  private reporter: FaultReporter | undefined;
  private negotiated: Uint32Array;

  /** @throws VirtioError for an option that cannot be */
  constructor(options: VirtioIommuOptions = {}) {
    this.counters = newVirtioIommuCounters();
    this.setup = setUp(options);
    this.config = new IommuConfigSpace(this.setup);
    this.table = new DomainTable(this.setup);
    this.negotiated = new Uint32Array(this.setup.offered.length);
  }

  /** Feature bits of `VIRTIO_IOMMU_F` that the device offers; a copy. */
  get features(): Uint32Array {
    return this.setup.offered.slice();
  }

  /** Domains that exist now. */
  get domains(): number {
    return this.table.domains.size;
  }

  /** Mappings of all domains. */
  get mappings(): number {
    return this.table.tree.used;
  }

  /** A queue's ring cannot be trusted: the device is to set DEVICE_NEEDS_RESET. */
  get needsReset(): boolean {
    const { queues } = this;
    return (queues?.request?.ringFault ?? 0) !== 0 || (queues?.event?.ringFault ?? 0) !== 0;
  }

  /**
   * Add an endpoint whose requests come here, attached to no domain.
   * @throws VirtioError for an id that is taken or no 32-bit number, and for regions that cannot be
   */
  addEndpoint(id: number, regions: readonly ReservedRegion[] = []): void {
    this.table.addEndpoint(id, regions);
  }

  /** Detach an endpoint and forget it: it was unplugged. @throws VirtioError for an id that was not added */
  removeEndpoint(id: number): void {
    this.table.removeEndpoint(id);
  }

  /** Fill `into` with configuration bytes from `offset` on; zeros past the end of the structure. */
  readConfig(offset: number, into: Uint8Array): void {
    this.config.read(offset, into);
  }

  /** The driver wrote configuration bytes. All but 0 or 1 in bypass, once that is negotiated, is ignored. */
  writeConfig(offset: number, bytes: Uint8Array): void {
    const bypass = this.config.writtenBypass(offset, bytes, this.negotiated);
    if (bypass !== undefined) this.setBypass(bypass);
  }

  /**
   * The driver is ready, or it enabled or reset a queue of a device that runs: domains and mappings stay.
   * @param features accepted by the driver; what is not offered does not count
   */
  start(features: Uint32Array, queues: VirtioIommuQueues): void {
    const { offered } = this.setup;
    this.negotiated = offered.map((word, at) => word & (features[at] ?? 0));
    this.queues = queues;
    const { memory, request, event } = queues;
    const { table, setup, negotiated, counters } = this;
    this.requests =
      request === undefined ? undefined : new RequestServer(memory, request, table, setup, negotiated, counters);
    this.reporter = event === undefined ? undefined : new FaultReporter(memory, event, counters);
  }

  /**
   * Handle available requests, at most `max`. When a buffer is given back, what the request asked for holds already: no
   * cache uses a mapping that is gone.
   * @returns requests handled; as many as `max` when there may be more
   */
  serveRequests(max: number): number {
    const { requests, queues } = this;
    if (requests === undefined || queues?.request === undefined) return 0;
    const handled = requests.serve(max);
    if (handled > 0 && queues.request.publishUsed()) queues.notify(VIRTIO_IOMMU_VQ.request);
    return handled;
  }

  /** The queues are let go: no request is carried out and no fault reported. Endpoints keep what they reach. */
  stop(): void {
    this.queues = undefined;
    this.requests = undefined;
    this.reporter = undefined;
  }

  /** Device reset: all endpoints are detached, the queues are let go; bypass stays. @see virtio 1.4 §5.13.4.2 */
  reset(): void {
    this.stop();
    this.negotiated.fill(0);
    this.table.reset();
  }

  /** Reset of the whole machine: bypass has its initial value again. */
  systemReset(): void {
    this.reset();
    this.setBypass(this.setup.bypass);
  }

  translate(sourceId: number, pasid: number, address: number, access: number, out: Translation): Translated {
    const endpoint = this.table.endpoints.get(sourceId);
    if (endpoint === undefined) {
      this.counters.unknownEndpoints++;
      return BLOCKED;
    }
    if (!(address >= 0 && address <= TOP)) return this.fault(REASON.UNKNOWN, sourceId, access, -1);
    // The device has no address spaces below an endpoint.
    if (pasid !== NO_PASID) return this.fault(REASON.UNKNOWN, sourceId, access, address);
    const { regions, domain } = endpoint;
    const region = regions.length > 0 ? regionAt(regions, address) : undefined;
    if (region !== undefined) {
      if (region.kind !== 'msi' || access !== ACCESS.WRITE)
        return this.fault(REASON.MAPPING, sourceId, access, address);
      fill(out, address, 0, 0, domain);
      return INTERRUPT;
    }
    if (domain === undefined ? this.config.bypass : domain.bypass) {
      fill(out, address, this.identityMask(endpoint, address), READ_WRITE, domain);
      return PASS_THROUGH;
    }
    if (domain === undefined) return this.fault(REASON.DOMAIN, sourceId, access, address);
    const { tree } = this.table;
    const node = tree.find(domain.root, address);
    const allowed = node === 0 ? 0 : allowedBy(tree.flags[node]!);
    if (node === 0 || (access & ~allowed) !== 0) return this.fault(REASON.MAPPING, sourceId, access, address);
    const start = tree.start[node]!;
    const offset = tree.physical[node]! - start;
    fill(out, address + offset, this.pageMask(address, start, tree.end[node]!, offset), allowed, domain);
    return OK;
  }

  private fault(reason: number, endpoint: number, access: number, address: number): Translated {
    this.counters.faults[reason]!++;
    const { reporter, queues } = this;
    if (reporter === undefined || queues === undefined || queues.enter?.() === false) {
      this.counters.reportsWithoutBuffer++;
      return FAULT;
    }
    if (reporter.send(reason, endpoint, access, address)) queues.notify(VIRTIO_IOMMU_VQ.event);
    queues.leave?.();
    return FAULT;
  }

  private setBypass(bypass: boolean): void {
    if (this.config.bypass === bypass) return;
    this.config.bypass = bypass;
    this.setup.invalidations.domain(NO_DOMAIN_TAG);
  }

  /** The page around an address between two region borders. */
  private identityMask({ regions }: Endpoint, address: number): number {
    let first = 0;
    let last = TOP;
    for (const { start, end } of regions) {
      if (end < address) first = end + 1;
      else if (start > address) last = Math.min(last, start - 1);
    }
    return this.pageMask(address, first, last, 0);
  }

  /** The largest page that lies in `first` to `last` and is naturally aligned on both sides of the translation. */
  private pageMask(address: number, first: number, last: number, offset: number): number {
    const { pageSizes } = this.setup;
    for (let at = 0; at < pageSizes.length - 1; at++) {
      const size = pageSizes[at]!;
      const base = address - (address % size);
      if (base >= first && base + (size - 1) <= last && offset % size === 0) return size - 1;
    }
    // Borders lie on the granularity.
    return this.setup.granule - 1;
  }
}

const { READ, WRITE } = VIRTIO_IOMMU_MAP_F;

function allowedBy(flags: number): number {
  return ((flags & READ) !== 0 ? ACCESS.READ : 0) | ((flags & WRITE) !== 0 ? ACCESS.WRITE : 0);
}

function fill(
  out: Translation,
  physical: number,
  pageMask: number,
  allowed: number,
  domain: { readonly tag: number } | undefined,
): void {
  out.physical = physical;
  out.pageMask = pageMask;
  out.allowed = allowed;
  out.domain = domain === undefined ? NO_DOMAIN_TAG : domain.tag;
  // The mappings are the device's own: no guest memory is read.
  out.entriesRead = 0;
}
