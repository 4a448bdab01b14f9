import { type DmaMapping, type DmaMemory, guestDma, type MsixMessage } from '@ringwire/guest-drivers';
import {
  ACCESS,
  type AddressSpace,
  GuestMemory,
  HostMemory,
  IdentitySpace,
  PageAllocator,
} from '@ringwire/guest-memory';
import {
  BUS_WORDS,
  InvalidationBus,
  IommuDomain,
  IommuSpace,
  Iotlb,
  RequesterTable,
  VTD_REG,
  VtdUnit,
} from '@ringwire/iommu';
import { LabPort } from './lab-port.js';

/** Where the guest's RAM begins, for the guest. */
export const RAM = 0x1_0000_0000;
export const RAM_BYTES = 0xc0_0000;
const OWN_BYTES = 0x280_0000;
/** Addresses of devices that are translated: nothing else has such numbers. */
const IOVA = 0x40_0000_0000;
const IOVA_BYTES = 0x4000_0000;
const TABLE_BYTES = 0x20_0000;
const PORT_BYTES = 0x1_0000;
const RW = ACCESS.READ | ACCESS.WRITE;
const VECTORS = 8;
/** VT-d 4.1 §11.4.4: take the root table, and switch translation on. */
const SRTP = 0x4000_0000;
const TE = 0x8000_0000;

let shared: HostMemory | undefined;

/** Memory and address spaces of one machine. There is one memory for all of them, since WebAssembly memories are few. */
export class Lab {
  readonly memory: HostMemory;
  /** Memory that no driver reaches. */
  readonly own: PageAllocator = new PageAllocator(RAM_BYTES, OWN_BYTES);
  /** The guest's RAM, as the guest sees it. */
  readonly guest: GuestMemory;
  readonly pages: PageAllocator = new PageAllocator(RAM, RAM_BYTES);
  readonly iovas: PageAllocator = new PageAllocator(IOVA, IOVA_BYTES);
  readonly physical: IdentitySpace;
  readonly port: LabPort;
  readonly messages: readonly MsixMessage[] = Array.from({ length: VECTORS }, (_, data) => ({
    addressLo: 0xfee0_0000,
    addressHi: 0,
    data,
  }));

  constructor() {
    shared ??= HostMemory.create(RAM_BYTES + OWN_BYTES);
    this.memory = shared;
    shared.engine.fill(0, 0, shared.size);
    this.guest = new GuestMemory(shared, [{ gpa: RAM, size: RAM_BYTES, host: 0 }]);
    this.physical = new IdentitySpace(shared);
    this.port = new LabPort(shared, this.own.allocate(PORT_BYTES), PORT_BYTES);
  }

  /** Guest-physical addresses are the device's, too. */
  plain(): DmaMemory {
    return guestDma(this.guest, this.pages);
  }

  /** The driver's memory behind something that translates. */
  mapped(mapping: DmaMapping): DmaMemory {
    return guestDma(this.guest, this.pages, mapping);
  }

  /** Host memory that pages of the guest's lie in. */
  hostOf(gpa: number): number {
    return gpa - RAM;
  }

  /** A VT-d unit with a domain for one requester. */
  translated(sourceId: number): TranslatedLab {
    const { physical } = this;
    const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
    const allocator = new PageAllocator(this.own.allocate(TABLE_BYTES), TABLE_BYTES);
    const owner = new InvalidationBus(words);
    const requesters = new RequesterTable({ physical, allocator, sink: owner });
    const domain = new IommuDomain({ id: 1, physical, allocator, sink: owner });
    requesters.attach(sourceId, domain);
    return new TranslatedLab(this, { words, owner, requesters, domain, sourceId });
  }
}

interface Translation {
  readonly words: Int32Array;
  readonly owner: InvalidationBus;
  readonly requesters: RequesterTable;
  readonly domain: IommuDomain;
  readonly sourceId: number;
}

/** One requester behind an IOMMU. */
export class TranslatedLab {
  readonly domain: IommuDomain;
  readonly owner: InvalidationBus;
  readonly words: Int32Array;
  readonly sourceId: number;
  /** As it goes into the root table register. */
  readonly rootTable: number;
  private readonly lab: Lab;

  constructor(lab: Lab, { words, owner, requesters, domain, sourceId }: Translation) {
    this.lab = lab;
    this.words = words;
    this.owner = owner;
    this.domain = domain;
    this.sourceId = sourceId;
    this.rootTable = requesters.root;
  }

  /** The device's way to memory, in this thread. */
  space(): IommuSpace {
    const { physical } = this.lab;
    const bus = new InvalidationBus(this.words);
    const unit = new VtdUnit({ memory: physical, sink: bus });
    unit.write(VTD_REG.RTADDR.at, 8, BigInt(this.rootTable));
    unit.write(VTD_REG.GCMD.at, 4, SRTP);
    unit.write(VTD_REG.GCMD.at, 4, TE);
    return new IommuSpace({ unit, sourceId: this.sourceId, physical, iotlb: new Iotlb(256), bus });
  }

  /** Page by page, as the driver allocates. */
  dma(): DmaMemory {
    const { lab, domain } = this;
    return lab.mapped({
      map(gpa, bytes) {
        const iova = lab.iovas.allocate(bytes);
        domain.map(iova, lab.hostOf(gpa), bytes, RW);
        return iova;
      },
      unmap(iova, bytes) {
        domain.unmap(iova, bytes);
        lab.iovas.free(iova);
      },
    });
  }

  /** All of the guest's RAM at its own addresses, as a host maps it for a guest that has no IOMMU. */
  identity(): DmaMemory {
    this.domain.map(RAM, this.lab.hostOf(RAM), RAM_BYTES, RW);
    return this.lab.plain();
  }
}

/** An address space that can be given up, over one that cannot. */
export const lasting = (space: AddressSpace): AddressSpace & { close(): void } =>
  Object.assign(space, { close: () => {} });
