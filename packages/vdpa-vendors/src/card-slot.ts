import { type DmaMemory, guestDma, type MsixMessage } from '@ringwire/guest-drivers';
import { ACCESS, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import {
  BUS_WORDS,
  InvalidationBus,
  IommuDomain,
  IommuSpace,
  type IommuSpaceConfig,
  Iotlb,
  ScalableRequesterTable,
  VtdUnit,
} from '@ringwire/iommu';
import { enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { AssignedFunction, type OwnedSpace, type SriovNic, type SriovNicOptions } from '@ringwire/sriov-nic';
import { DomainMappings, type VdpaHost } from '@ringwire/vdpa';
import { VirtioError } from '@ringwire/virtio-spec';

/** Routing id of a card's physical function behind the one port that there is: bus 1. */
export const PHYSICAL_ID = 0x0100;
/** First address of a function that is the host's own, for commands: a guest's mappings end before it. */
export const COMMANDS_IOVA: number = 2 ** 47;
const COMMANDS_BYTES = 0x100_0000;
const RW = ACCESS.READ | ACCESS.WRITE;
/** Page tables of all functions: 4 KiB pages of a guest of some hundred MiB take a few of them. */
const TABLE_BYTES = 0x40_0000;
const PASID_BITS = 20;
/** Root table pointer, and the commands that take it and switch translation on. VT-d 4.1 §11.4.4, §11.4.5 */
const RTADDR = 0x20;
const GCMD = 0x18;
const SRTP = 0x4000_0000;
const TE = 0x8000_0000;
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};
const ROOT_PORT = { kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c } as const;

/** What of a card's options is the slot's business. */
export type SlotPlugs = Pick<SriovNicOptions, 'physicalId' | 'openSpace' | 'sendMessage'>;

/** A message of a function: whose, and which vector. */
type Messages = (requesterId: number, vector: number) => void;

/** Puts something around a virtual function's way to memory: what counts its accesses, say. It closes what it was given. */
export type SpaceWrap = (space: OwnedSpace, requesterId: number) => OwnedSpace;

/** One function's address space, which its host fills. */
interface SlotDomain {
  readonly domain: IommuDomain;
  readonly iovas: PageAllocator;
}

/** MSI-X messages for so many vectors: who sent one is known without its data. */
export const messagesFor = (vectors: number): MsixMessage[] =>
  Array.from({ length: vectors }, (_, data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));

/**
 * A slot of a machine with a card in it: a bus that was numbered, an IOMMU in scalable mode that keeps a domain for each function
 * and knows what they write, and the host's memory.
 */
export class CardSlot {
  readonly card: SriovNic;
  readonly host: VdpaHost;
  private readonly machine = new RootComplex();
  private readonly physical: IdentitySpace;
  private readonly bus = new InvalidationBus(new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)));
  private readonly tables: PageAllocator;
  private readonly requesters: ScalableRequesterTable;
  private readonly unit: VtdUnit;
  private readonly iotlb = new Iotlb(1024);
  private readonly domains: Map<number, SlotDomain> = new Map();
  private readonly functions: readonly FoundFunction[];
  private readonly wrap: SpaceWrap;
  private virtual: readonly FoundFunction[] = [];

  /**
   * @param make puts the card together with what the slot has
   * @param wrap unless given, nothing is around a way to memory
   * @throws VirtioError without memory for tables
   */
  constructor(
    host: VdpaHost,
    make: (plugs: SlotPlugs) => SriovNic,
    messages: Messages,
    wrap: SpaceWrap = (space) => space,
  ) {
    if (host.pages.available < TABLE_BYTES)
      throw new VirtioError(
        'pages.available',
        host.pages.available,
        `${TABLE_BYTES} bytes for page tables`,
        'CardSlot',
      );
    this.host = host;
    this.wrap = wrap;
    this.physical = new IdentitySpace(host.memory);
    this.tables = new PageAllocator(host.pages.allocate(TABLE_BYTES), TABLE_BYTES);
    const { physical, bus } = this;
    this.requesters = new ScalableRequesterTable({ physical, allocator: this.tables, sink: bus });
    const capabilities = { scalable: true, secondStageAccessDirty: true, pasidBits: PASID_BITS };
    this.unit = new VtdUnit({ memory: physical, sink: bus, capabilities });
    this.unit.write(RTADDR, 8, this.requesters.rtaddr);
    this.unit.write(GCMD, 4, SRTP);
    this.unit.write(GCMD, 4, TE);
    this.card = make({
      physicalId: PHYSICAL_ID,
      openSpace: (requesterId) => this.openSpace(requesterId),
      sendMessage: (requesterId, _low, _high, _data, vector) => messages(requesterId, vector),
    });
    const port = new PciPort(ROOT_PORT);
    port.secondary.plug(0, this.card);
    this.machine.bus.plug(8, port);
    this.functions = scanBuses(this.machine);
    placeBars(this.machine, this.functions, RANGES);
  }

  /** The host's view of the physical function. */
  get physicalAccess(): AssignedFunction {
    return new AssignedFunction(this.machine, this.found(PHYSICAL_ID));
  }

  /** Virtual functions on: those that were there go. */
  enable(count: number): void {
    this.virtual = enableVfs(this.machine, this.found(PHYSICAL_ID), count);
  }

  /** The host's view of a virtual function. */
  accessOf(place: number): AssignedFunction {
    return new AssignedFunction(this.machine, this.virtual[place]!);
  }

  requesterOf(place: number): number {
    return this.virtual[place]!.routingId;
  }

  /** What a guest maps of a function's addresses. */
  mappingsOf(requesterId: number): DomainMappings {
    return new DomainMappings(this.host.memory, this.domains.get(requesterId)!.domain, this.bus, true);
  }

  /** Memory of the host's that it shares with a function. */
  dmaOf(requesterId: number): DmaMemory {
    const { domain, iovas } = this.domains.get(requesterId)!;
    return guestDma(this.physical, this.host.pages, {
      map(host, bytes) {
        const iova = iovas.allocate(bytes);
        domain.map(iova, host, bytes, RW);
        return iova;
      },
      unmap(iova, bytes) {
        domain.unmap(iova, bytes);
        iovas.free(iova);
      },
    });
  }

  private found(routingId: number): FoundFunction {
    return this.functions.find((one) => one.routingId === routingId)!;
  }

  private openSpace(requesterId: number): OwnedSpace {
    const { unit, physical, bus, iotlb, requesters, tables, domains } = this;
    const domain = new IommuDomain({ id: requesterId, physical, allocator: tables, sink: bus });
    requesters.attach(requesterId, domain);
    domains.set(requesterId, { domain, iovas: new PageAllocator(COMMANDS_IOVA, COMMANDS_BYTES) });
    const space = new FunctionSpace({ unit, sourceId: requesterId, physical, iotlb, bus }, () => {
      requesters.detach(requesterId);
      domain.destroy();
      domains.delete(requesterId);
    });
    return requesterId === PHYSICAL_ID ? space : this.wrap(space, requesterId);
  }
}

/** A function's way to memory, which ends with it. */
class FunctionSpace extends IommuSpace implements OwnedSpace {
  private readonly closed: () => void;

  constructor(config: IommuSpaceConfig, closed: () => void) {
    super(config);
    this.closed = closed;
  }

  override close(): void {
    super.close();
    this.closed();
  }
}
