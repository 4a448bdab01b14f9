import { type HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { IommuDomain } from '../domain.js';
import { BUS_WORDS, InvalidationBus } from '../invalidation-bus.js';
import { IommuSpace } from '../iommu-space.js';
import { Iotlb } from '../iotlb.js';
import { RequesterTable } from '../requester-table.js';
import { VtdUnit } from '../vtd-unit.js';

/** VT-d registers and commands, and the first fault record. */
const REG = { RTADDR: 0x20, GCMD: 0x18, FAULT_LOW: 0x220, FAULT_HIGH: 0x228, FAULT_TOP: 0x22c } as const;
const SET_ROOT_TABLE = 0x4000_0000;
const TRANSLATION_ENABLE = 0x8000_0000;
const FAULT = 0x8000_0000;

/** What a unit says of an access that it refused. */
export interface RefusedAccess {
  readonly reason: number;
  readonly sourceId: number;
  /** Of the page. */
  readonly address: number;
}

/** A VT-d unit in whose tables every requester has a domain of its own, for functions of other packages' tests. */
export class RequesterStage {
  readonly unit: VtdUnit;
  private readonly physical: IdentitySpace;
  private readonly allocator: PageAllocator;
  private readonly bus: InvalidationBus = new InvalidationBus(new Int32Array(BUS_WORDS));
  private readonly requesters: RequesterTable;
  private readonly iotlb: Iotlb = new Iotlb(4096);
  private readonly domains: Map<number, IommuDomain> = new Map();

  /** @param at host offset of so many bytes for tables, both multiples of 4096 */
  constructor(memory: HostMemory, at: number, bytes: number) {
    this.physical = new IdentitySpace(memory);
    this.allocator = new PageAllocator(at, bytes);
    const { physical, allocator, bus } = this;
    this.requesters = new RequesterTable({ physical, allocator, sink: bus });
    this.unit = new VtdUnit({ memory: physical, sink: bus });
    this.unit.write(REG.RTADDR, 8, BigInt(this.requesters.root));
    this.unit.write(REG.GCMD, 4, SET_ROOT_TABLE);
    this.unit.write(REG.GCMD, 4, TRANSLATION_ENABLE);
  }

  /** A requester's domain, empty at first. */
  domain(sourceId: number): IommuDomain {
    const known = this.domains.get(sourceId);
    if (known !== undefined) return known;
    const { physical, allocator, bus } = this;
    const domain = new IommuDomain({ id: this.domains.size + 1, physical, allocator, sink: bus });
    this.domains.set(sourceId, domain);
    this.requesters.attach(sourceId, domain);
    return domain;
  }

  /** A requester's way to memory. */
  space(sourceId: number): IommuSpace {
    const { unit, physical, iotlb, bus } = this;
    return new IommuSpace({ unit, sourceId, physical, iotlb, bus });
  }

  /** The first access that was refused since the last call; undefined: none was. */
  takeFault(): RefusedAccess | undefined {
    const high = this.unit.read(REG.FAULT_HIGH, 8);
    const low = this.unit.read(REG.FAULT_LOW, 8);
    if (high >> 63n === 0n) return undefined;
    this.unit.write(REG.FAULT_TOP, 4, FAULT);
    return { reason: Number((high >> 32n) & 0xffn), sourceId: Number(high & 0xffffn), address: Number(low) };
  }
}
