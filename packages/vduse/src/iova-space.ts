import {
  ACCESS,
  type AddressSpace,
  type AddressWindow,
  GuestMemory,
  type HostMemory,
  type RangeList,
  RESOLVE,
} from '@ringwire/guest-memory';
import type { Mapping, PeerMemory } from '@ringwire/peer-memory';
import type { Region } from './node.js';

/** Addresses end here; see `AddressSpace`. */
const ADDRESSES_END = 2n ** 53n;
/** Regions that are kept from one burst to the next: with more all are looked for anew. */
const REGIONS_MAX = 1024;

/** Where regions come from, and whose their descriptors are. */
export interface RegionSource {
  region(first: bigint, last: bigint): Region | string;
  closeFile(fd: number): void;
}

interface MappedRegion {
  readonly gpa: number;
  readonly size: number;
  readonly host: number;
  readonly readOnly: boolean;
  readonly mapping: Mapping;
}

/**
 * The addresses of a device that the kernel translates: I/O virtual ones. A region is asked for when an address in it is first
 * met, laid over the host memory, and kept until the kernel says that it is another one now.
 */
export class IovaSpace implements AddressSpace {
  readonly memory: HostMemory;
  /** Accesses to what the kernel has no region for, or does not allow. */
  faults = 0;
  /** Why a region that the kernel has is not reached. */
  problem: string | undefined;
  private readonly peers: PeerMemory;
  private readonly source: RegionSource;
  private mapped: readonly MappedRegion[] = [];
  private guest: GuestMemory;
  private epoch = 0;

  constructor(peers: PeerMemory, source: RegionSource) {
    this.memory = peers.memory;
    this.peers = peers;
    this.source = source;
    this.guest = new GuestMemory(this.memory, []);
  }

  /** Regions that are reached now. */
  get count(): number {
    return this.mapped.length;
  }

  enter(): number {
    if (this.mapped.length > REGIONS_MAX) this.clear();
    return this.epoch;
  }

  leave(): void {}

  windowFor(): AddressWindow {
    return this.guest.windowFor();
  }

  resolve(address: number, length: number, access: number): number {
    const offset = this.guest.resolve(address, length, access);
    return offset === RESOLVE.FAULT ? this.missed(address, length, access) : offset;
  }

  resolveRanges(address: number, length: number, access: number, ranges: RangeList): boolean {
    return this.resolve(address, length, access) !== RESOLVE.FAULT
      ? this.guest.resolveRanges(address, length, access, ranges)
      : false;
  }

  /** Between two bursts: nothing that lies between these addresses is reached any more, until it is asked for again. */
  drop(first: bigint, last: bigint): void {
    const isGone = ({ gpa, size }: MappedRegion): boolean => BigInt(gpa) <= last && BigInt(gpa + size - 1) >= first;
    const gone = this.mapped.filter(isGone);
    if (gone.length === 0) return;
    this.epoch++;
    this.show(this.mapped.filter((region) => !isGone(region)));
    for (const { mapping } of gone) this.peers.unmap(mapping);
  }

  /** Between two bursts: nothing is reached any more. */
  clear(): void {
    this.drop(0n, ADDRESSES_END);
    this.problem = undefined;
  }

  /** Whether something was touched that the kernel had taken away without saying so, or never had: it reads as zeros. */
  wasCut(): boolean {
    return this.mapped.some(({ mapping }) => this.peers.wasCut(mapping));
  }

  private missed(address: number, length: number, access: number): number {
    const isStretch = Number.isSafeInteger(address) && address >= 0 && length >>> 0 === length;
    const end = address + Math.max(length, 1);
    if (isStretch && end <= 2 ** 53 && this.reach(address, end)) {
      const offset = this.guest.resolve(address, length, access);
      if (offset !== RESOLVE.FAULT) return offset;
    }
    this.faults++;
    return RESOLVE.FAULT;
  }

  /** Map what is not yet of a stretch. @returns whether all of it is */
  private reach(address: number, end: number): boolean {
    for (let at = address; at < end; ) {
      const region = this.find(at) ?? this.fetch(at, end);
      if (region === undefined) return false;
      at = region.gpa + region.size;
    }
    return true;
  }

  private find(at: number): MappedRegion | undefined {
    return this.mapped.find(({ gpa, size }) => at >= gpa && at < gpa + size);
  }

  /** @returns the region that `at` lies in, or undefined: there is none, or it cannot be mapped */
  private fetch(at: number, end: number): MappedRegion | undefined {
    const region = this.source.region(BigInt(at), BigInt(end - 1));
    if (typeof region === 'string') return undefined;
    try {
      // The first one of the stretch may begin behind the hole that it begins with.
      if (region.first > BigInt(at) || region.last < BigInt(at)) return undefined;
      const mapped = this.map(region);
      if (typeof mapped === 'string') {
        this.problem = mapped;
        return undefined;
      }
      this.show([...this.mapped, mapped]);
      return mapped;
    } finally {
      this.source.closeFile(region.fd);
    }
  }

  private map({ fd, offset, first, last: whole, access }: Region): MappedRegion | string {
    const last = whole < ADDRESSES_END ? whole : ADDRESSES_END - 1n;
    const name = `the region from 0x${first.toString(16)} to 0x${whole.toString(16)}`;
    if (last < first || offset + last - first >= ADDRESSES_END) return `${name} lies beyond 2^53`;
    const [gpa, size] = [Number(first), Number(last - first) + 1];
    const isOther = this.mapped.some((one) => one.gpa < gpa + size && gpa < one.gpa + one.size);
    if (isOther) return `${name} overlaps another one`;
    if ((access & ACCESS.READ) === 0) return `${name} cannot be read`;
    const mapping = this.peers.mapVouched(fd, Number(offset), size, access);
    if (typeof mapping === 'string') return `${name}: ${mapping}`;
    return { gpa, size, host: mapping.host, readOnly: (access & ACCESS.WRITE) === 0, mapping };
  }

  private show(mapped: readonly MappedRegion[]): void {
    this.mapped = mapped;
    this.guest = new GuestMemory(this.memory, mapped);
  }
}
