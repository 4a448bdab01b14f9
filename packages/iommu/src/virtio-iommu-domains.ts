import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_IOMMU_ATTACH_F, VIRTIO_IOMMU_MAP_F, VIRTIO_IOMMU_S } from '@ringwire/virtio-spec/iommu';
import { ENDPOINTS_MAX, type VirtioIommuSetup } from './virtio-iommu-options.js';
import {
  checkRegions,
  propertyBytes,
  type ReservedRegion,
  regionsAgree,
  regionsOverlap,
} from './virtio-iommu-regions.js';
import { MappingTree, type NodeIndex } from './virtio-iommu-tree.js';

/** Who makes DMA requests: what `sourceId` of a translation names. */
export interface Endpoint {
  readonly id: number;
  /** Endpoints with equal regions share one list. */
  readonly regions: readonly ReservedRegion[];
  domain: Domain | undefined;
}

export interface Domain {
  readonly id: number;
  /** What caches know the domain by: 1 … 65536, and another domain's when this one is gone. */
  readonly tag: number;
  readonly bypass: boolean;
  root: NodeIndex;
  endpoints: number;
  /** Lists of regions of the attached endpoints, with how many have each. */
  readonly reserved: Map<readonly ReservedRegion[], number>;
}

/** The tag for endpoints in no domain, while they are in bypass mode. */
export const NO_DOMAIN_TAG = 0;

const S = VIRTIO_IOMMU_S;
const READ_OR_WRITE = VIRTIO_IOMMU_MAP_F.READ | VIRTIO_IOMMU_MAP_F.WRITE;

/**
 * Endpoints, the domains they are attached to, and the domains' mappings. The methods named after requests give the
 * request's status; unless that is OK nothing has changed. Before one returns, caches and mirror have followed.
 *
 * Addresses are numbers. One of 2^53 or more may be inexact; it is never mapped, so that it makes no difference.
 */
export class DomainTable {
  readonly endpoints: Map<number, Endpoint> = new Map();
  readonly domains: Map<number, Domain> = new Map();
  readonly tree: MappingTree;
  private readonly setup: VirtioIommuSetup;
  private readonly regionLists: Map<string, { regions: readonly ReservedRegion[]; users: number }> = new Map();
  private readonly freeTags: number[] = [];
  private highestTag = NO_DOMAIN_TAG;

  constructor(setup: VirtioIommuSetup) {
    this.setup = setup;
    this.tree = new MappingTree(setup.maxMappings);
  }

  /** @throws VirtioError for an id that is taken or no 32-bit number, and for regions that cannot be probed */
  addEndpoint(id: number, regions: readonly ReservedRegion[]): void {
    const spec = 'virtio 1.4 §5.13.6.3';
    if (id >>> 0 !== id) throw new VirtioError('endpoint', id, 'a 32-bit number', spec);
    if (this.endpoints.has(id)) throw new VirtioError('endpoint', id, 'an id that is not in use', spec);
    if (this.endpoints.size === ENDPOINTS_MAX)
      throw new VirtioError('endpoints', ENDPOINTS_MAX + 1, `at most ${ENDPOINTS_MAX}`, spec);
    const sorted = checkRegions(regions, this.setup.granule);
    const { probeSize } = this.setup;
    if (probeSize > 0 && propertyBytes(sorted) > probeSize)
      throw new VirtioError('probe_size', probeSize, `the ${propertyBytes(sorted)} bytes of this endpoint`, spec);
    const key = keyOf(sorted);
    const list = this.regionLists.get(key) ?? { regions: sorted, users: 0 };
    list.users++;
    this.regionLists.set(key, list);
    this.endpoints.set(id, { id, regions: list.regions, domain: undefined });
  }

  /** An endpoint that was unplugged: detached first. */
  removeEndpoint(id: number): void {
    const endpoint = this.endpoints.get(id);
    if (endpoint === undefined) throw new VirtioError('endpoint', id, 'an id that was added', 'virtio 1.4 §5.13.6.3');
    if (endpoint.domain !== undefined) this.detach(endpoint.domain.id, id);
    this.endpoints.delete(id);
    this.setup.invalidations.requester(id);
    const key = keyOf(endpoint.regions);
    const list = this.regionLists.get(key)!;
    list.users--;
    if (list.users === 0) this.regionLists.delete(key);
  }

  /** @see virtio 1.4 §5.13.6.3.2 */
  attach(domainId: number, endpointId: number, flags: number, knownFlags: number): number {
    const { domainRange, mirror, invalidations } = this.setup;
    if ((flags & ~knownFlags) !== 0) return S.INVAL;
    const endpoint = this.endpoints.get(endpointId);
    if (endpoint === undefined) return S.NOENT;
    if (domainId < domainRange.start || domainId > domainRange.end) return S.RANGE;
    const bypass = (flags & VIRTIO_IOMMU_ATTACH_F.BYPASS) !== 0;
    const domain = this.domains.get(domainId);
    if (domain !== undefined) {
      if (domain.bypass !== bypass) return S.INVAL;
      if (domain === endpoint.domain) return S.OK;
      if (!this.suits(endpoint, domain)) return S.UNSUPP;
    }
    if (mirror?.attach(endpointId, domainId, bypass) === false) return S.UNSUPP;
    if (endpoint.domain !== undefined) this.leave(endpoint, endpoint.domain);
    this.join(endpoint, domain ?? this.create(domainId, bypass));
    invalidations.requester(endpointId);
    return S.OK;
  }

  /** @see virtio 1.4 §5.13.6.4.2 */
  detach(domainId: number, endpointId: number): number {
    const endpoint = this.endpoints.get(endpointId);
    if (endpoint === undefined) return S.NOENT;
    const { domain } = endpoint;
    if (domain === undefined || domain.id !== domainId) return S.INVAL;
    this.leave(endpoint, domain);
    this.setup.mirror?.detach(endpointId, domainId);
    this.setup.invalidations.requester(endpointId);
    return S.OK;
  }

  /** @see virtio 1.4 §5.13.6.5.2 */
  map(domainId: number, first: number, last: number, physical: number, flags: number, knownFlags: number): number {
    const { granule, inputRange, physicalEnd, mirror } = this.setup;
    const { tree } = this;
    if ((flags & ~knownFlags) !== 0) return S.INVAL;
    const domain = this.domains.get(domainId);
    if (domain === undefined) return S.NOENT;
    // A mapping that allows nothing would only take up room.
    if (domain.bypass || (flags & READ_OR_WRITE) === 0) return S.INVAL;
    if (last < first || first < inputRange.start || last > inputRange.end) return S.RANGE;
    if (physical > physicalEnd || last - first > physicalEnd - physical) return S.RANGE;
    if (first % granule !== 0 || physical % granule !== 0 || (last % granule) + 1 !== granule) return S.RANGE;
    for (const regions of domain.reserved.keys()) if (regionsOverlap(regions, first, last)) return S.INVAL;
    if (tree.overlaps(domain.root, first, last)) return S.INVAL;
    if (tree.full || mirror?.map(domainId, first, last, physical, flags) === false) return S.NOMEM;
    domain.root = tree.insert(domain.root, first, last, physical, flags);
    return S.OK;
  }

  /** @see virtio 1.4 §5.13.6.6.2 */
  unmap(domainId: number, first: number, last: number): number {
    const { tree } = this;
    const domain = this.domains.get(domainId);
    if (domain === undefined) return S.NOENT;
    if (domain.bypass) return S.INVAL;
    if (last < first) return S.RANGE;
    const atFirst = tree.find(domain.root, first);
    if (atFirst !== 0 && tree.start[atFirst]! < first) return S.RANGE;
    const atLast = tree.find(domain.root, last);
    if (atLast !== 0 && tree.end[atLast]! > last) return S.RANGE;
    domain.root = tree.remove(domain.root, first, last);
    const { cut } = tree;
    if (cut === 0) return S.OK;
    const from = tree.firstAddress(cut);
    const to = tree.lastAddress(cut);
    tree.release(cut);
    this.setup.mirror?.unmap(domainId, from, to);
    this.invalidatePages(domain.tag, from, to);
    return S.OK;
  }

  /** No endpoint is attached to a domain any more. @see virtio 1.4 §5.13.5 */
  reset(): void {
    for (const endpoint of this.endpoints.values()) {
      const { domain } = endpoint;
      if (domain === undefined) continue;
      this.leave(endpoint, domain);
      this.setup.mirror?.detach(endpoint.id, domain.id);
    }
    this.setup.invalidations.all();
  }

  /** Whether the endpoint's properties go together with those of the domain's endpoints, and with its mappings. */
  private suits(endpoint: Endpoint, domain: Domain): boolean {
    for (const regions of domain.reserved.keys()) if (!regionsAgree(regions, endpoint.regions)) return false;
    return !endpoint.regions.some(({ start, end }) => this.tree.overlaps(domain.root, start, end));
  }

  private create(id: number, bypass: boolean): Domain {
    const tag = this.freeTags.pop() ?? ++this.highestTag;
    const domain: Domain = { id, tag, bypass, root: 0, endpoints: 0, reserved: new Map() };
    this.domains.set(id, domain);
    return domain;
  }

  private join(endpoint: Endpoint, domain: Domain): void {
    const { regions } = endpoint;
    endpoint.domain = domain;
    domain.endpoints++;
    if (regions.length > 0) domain.reserved.set(regions, (domain.reserved.get(regions) ?? 0) + 1);
  }

  /** With its last endpoint a domain ceases to exist. */
  private leave(endpoint: Endpoint, domain: Domain): void {
    const { regions } = endpoint;
    endpoint.domain = undefined;
    domain.endpoints--;
    const users = domain.reserved.get(regions);
    if (users === 1) domain.reserved.delete(regions);
    else if (users !== undefined) domain.reserved.set(regions, users - 1);
    if (domain.endpoints > 0) return;
    this.domains.delete(domain.id);
    this.tree.release(domain.root);
    domain.root = 0;
    this.setup.invalidations.domain(domain.tag);
    this.freeTags.push(domain.tag);
  }

  /** Announce a stretch as naturally aligned pieces: at most two per power of two. */
  private invalidatePages(tag: number, first: number, last: number): void {
    const { granule, invalidations } = this.setup;
    for (let at = first; at <= last; ) {
      let size = granule;
      while (at % (size * 2) === 0 && size * 2 - 1 <= last - at) size *= 2;
      invalidations.pages(tag, at, size - 1);
      at += size;
    }
  }
}

const keyOf = (regions: readonly ReservedRegion[]): string =>
  regions.map(({ kind, start, end }) => `${kind} ${start} ${end}`).join();
