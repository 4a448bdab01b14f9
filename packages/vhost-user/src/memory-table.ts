import { GuestMemory } from '@ringwire/guest-memory';
import type { Mapping, PeerMemory } from '@ringwire/peer-memory';
import { IotlbSpace } from './iotlb-space.js';
import { MEM_REGION } from './messages.js';

/** A region as a front-end describes it. All numbers are exact: below 2^53, and so are their sums. */
export interface RegionRequest {
  readonly gpa: number;
  readonly size: number;
  /** Where the front-end has it in its own address space: ring addresses are told so. */
  readonly userspace: number;
  readonly mmapOffset: number;
}

interface Region extends RegionRequest {
  readonly mapping: Mapping;
}

/** Read a region's description. @returns it, or why it can be none */
export function regionOf(view: DataView, at: number): RegionRequest | string {
  const read = (field: number): bigint => view.getBigUint64(at + field, true);
  const size = read(MEM_REGION.size);
  if (size === 0n) return 'a region of no bytes';
  const starts = [read(MEM_REGION.gpa), read(MEM_REGION.userspace), read(MEM_REGION.mmapOffset)];
  for (const start of starts) if (start + size > 2n ** 53n) return `a region of ${size} bytes from ${start} on`;
  const [gpa, userspace, mmapOffset] = starts.map(Number) as [number, number, number];
  return { gpa, size: Number(size), userspace, mmapOffset };
}

/** Why regions can't be together: two of them share an address. */
export function overlapProblem(regions: readonly RegionRequest[]): string | undefined {
  for (const key of ['gpa', 'userspace'] as const) {
    const sorted = [...regions].sort((a, b) => a[key] - b[key]);
    const at = sorted.findIndex(
      (region, index) => index > 0 && region[key] - sorted[index - 1]![key] < sorted[index - 1]!.size,
    );
    if (at > 0) return `two regions have ${key} 0x${sorted[at]![key].toString(16)}`;
  }
  return undefined;
}

/** Removed regions that are remembered, the youngest ones. */
const REMOVED_MAX = 256;

/** A front-end's memory: its regions, each a mapping of a file, as one address space. */
export class MemoryTable {
  /** By guest-physical address; a new object whenever the regions change. */
  space: GuestMemory;
  /** By what the front-end translates, for rings with ACCESS_PLATFORM; empty whenever the regions change. */
  readonly translated: IotlbSpace;
  private readonly peer: PeerMemory;
  private regions: Region[] = [];
  private removed: RegionRequest[] = [];

  constructor(peer: PeerMemory) {
    this.peer = peer;
    this.space = new GuestMemory(peer.memory, []);
    this.translated = new IotlbSpace(peer.memory);
  }

  get count(): number {
    return this.regions.length;
  }

  /** One behind the last guest-physical address. */
  get end(): number {
    return this.regions.reduce((end, { gpa, size }) => Math.max(end, gpa + size), 0);
  }

  /** Guest-physical address of what the front-end has at one of its own, or -1 where there is no region. */
  gpaOf(userspace: number): number {
    for (const region of this.regions) {
      const at = userspace - region.userspace;
      if (at >= 0 && at < region.size) return region.gpa + at;
    }
    return -1;
  }

  /** Host offset of a stretch of the front-end's own addresses, or -1 unless it lies in one region. */
  hostOf(userspace: number, bytes: number): number {
    for (const { userspace: start, size, mapping } of this.regions) {
      const at = userspace - start;
      if (at >= 0 && at < size) return bytes <= size - at ? mapping.host + at : -1;
    }
    return -1;
  }

  /** The region with these addresses and this size, wherever in its file it lies. */
  named(request: RegionRequest): RegionRequest | undefined {
    return this.regions[this.find(request)];
  }

  /** Map one more region. @returns why it can't be; nothing has changed then */
  add(request: RegionRequest, fd: number): string | undefined {
    const problem = overlapProblem([...this.regions, request]);
    if (problem !== undefined) return problem;
    const mapping = this.peer.map(fd, request.mmapOffset, request.size);
    if (typeof mapping === 'string') return mapping;
    this.regions.push({ ...request, mapping });
    this.renew();
    return undefined;
  }

  /** Let go of a region that is there, see {@link named}. */
  remove(request: RegionRequest): void {
    const [region] = this.regions.splice(this.find(request), 1);
    if (!this.wasRemoved(request)) this.removed.push(request);
    if (this.removed.length > REMOVED_MAX) this.removed.shift();
    this.renew();
    this.peer.unmap(region!.mapping);
  }

  /** Whether a region with these addresses and this size was removed before. */
  wasRemoved(request: RegionRequest): boolean {
    return this.removed.some((region) => isSame(region, request));
  }

  private find(request: RegionRequest): number {
    return this.regions.findIndex((region) => isSame(region, request));
  }

  /** Whether the file of a region was cut short. */
  wasCut(): boolean {
    return this.regions.some(({ mapping }) => this.peer.wasCut(mapping));
  }

  clear(): void {
    const regions = this.regions.splice(0);
    this.removed = [];
    this.renew();
    for (const { mapping } of regions) this.peer.unmap(mapping);
  }

  private renew(): void {
    const regions = this.regions.map(({ gpa, size, mapping }) => ({ gpa, size, host: mapping.host }));
    this.space = new GuestMemory(this.peer.memory, regions);
    this.translated.clear();
  }
}

/** What names a region among those of a front-end. */
function isSame(a: RegionRequest, b: RegionRequest): boolean {
  return a.gpa === b.gpa && a.size === b.size && a.userspace === b.userspace;
}
