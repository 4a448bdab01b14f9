import { IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import {
  BUS_WORDS,
  InvalidationBus,
  IommuDomain,
  IommuSpace,
  Iotlb,
  RequesterTable,
  ScalableRequesterTable,
  VtdUnit,
} from '@ringwire/iommu';
import { VdpaStage } from './vdpa-stage.js';

/** Root table pointer, and the commands that take it and switch translation on. VT-d 4.1 §11.4.4, §11.4.5 */
const RTADDR = 0x20;
const GCMD = 0x18;
const SRTP = 0x4000_0000;
const TE = 0x8000_0000;
const TABLE_BYTES = 0x40_0000;
export const SOURCE = 0x3b00;

/** The machine of {@link VdpaStage} with a VT-d unit, in legacy or scalable mode. */
export class IommuStage extends VdpaStage {
  readonly physical: IdentitySpace = new IdentitySpace(this.memory);
  readonly bus: InvalidationBus = new InvalidationBus(new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)));
  readonly tables: PageAllocator = new PageAllocator(this.processPages.allocate(TABLE_BYTES), TABLE_BYTES);

  /** A unit in legacy mode, and a domain that one function uses. */
  function(): { domain: IommuDomain; space: IommuSpace } {
    const { physical, bus, tables } = this;
    const requesters = new RequesterTable({ physical, allocator: tables, sink: bus });
    const domain = new IommuDomain({ id: 1, physical, allocator: tables, sink: bus });
    requesters.attach(SOURCE, domain);
    const unit = new VtdUnit({ memory: physical, sink: bus });
    translateBy(unit, BigInt(requesters.root));
    return { domain, space: new IommuSpace({ unit, sourceId: SOURCE, physical, iotlb: new Iotlb(256), bus }) };
  }

  /** A unit in scalable mode, with a function that is attached to a domain without mappings. */
  scalable(): { unit: VtdUnit; requesters: ScalableRequesterTable } {
    const { physical, bus, tables } = this;
    const requesters = new ScalableRequesterTable({ physical, allocator: tables, sink: bus });
    requesters.attach(SOURCE, new IommuDomain({ id: 1, physical, allocator: tables, sink: bus }));
    const capabilities = { scalable: true, secondStageAccessDirty: true, pasidBits: 20 };
    const unit = new VtdUnit({ memory: physical, sink: bus, capabilities });
    translateBy(unit, requesters.rtaddr);
    return { unit, requesters };
  }
}

function translateBy(unit: VtdUnit, root: bigint): void {
  unit.write(RTADDR, 8, root);
  unit.write(GCMD, 4, SRTP);
  unit.write(GCMD, 4, TE);
}
