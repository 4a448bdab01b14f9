import {
  ESWITCH_AREA_BYTES,
  Eswitch,
  type EswitchOptions,
  type EswitchPort,
  type Stepped,
  type TransmitGate,
} from '@ringwire/eswitch';
import { type DmaMemory, guestDma } from '@ringwire/guest-drivers';
import { ACCESS, GuestMemory, HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import {
  BUS_WORDS,
  InvalidationBus,
  IommuDomain,
  IommuSpace,
  Iotlb,
  RequesterTable,
  VtdCaches,
  type VtdUnit,
} from '@ringwire/iommu';
import { enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { AssignedFunction, SriovNic } from '@ringwire/sriov-nic';
import { vtdUnit } from '../device-dma.js';
import { type FunctionKind, type KindParts, kindOptions, SCRATCH_BYTES } from './function-kind.js';

/** Where every guest's RAM is, for the guest and for its function. */
const RAM = 0x1_0000_0000;
const MIB = 0x10_0000;
const PAGE_BYTES = 4096;
const BUS_OF_CARD = 1;
/** Bus of the first physical function's virtual ones; those of the next are one further. */
const VF_BUS = 2;
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};

/** A card, and what stands around it. */
export interface CardPlan {
  /** What each virtual function is, in their order. There is one physical function for each kind, in order of appearance. */
  readonly vfs: readonly FunctionKind[];
  /** Of all devices, in µs. */
  readonly now: () => number;
  /** In front of the wire; without it everything leaves at once. */
  readonly gate?: TransmitGate;
  readonly eswitch?: Partial<EswitchOptions>;
  /** RAM of each guest, a multiple of 4096; 2 MiB unless given. */
  readonly ramBytes?: number;
  /** Queue pairs of virtio functions; 1 unless given. */
  readonly pairs?: number;
}

/** A function of the card, and the guest, or host, that has it. */
export interface CardFunction {
  readonly kind: FunctionKind;
  /** Of a virtual function, among all of the card; -1 for a physical one. */
  readonly vf: number;
  /** Of a virtual function, among those of its physical one. */
  readonly index: number;
  readonly routingId: number;
  readonly port: EswitchPort;
  readonly mac: Uint8Array;
  /** Host offset of its guest's RAM. */
  readonly ramAt: number;
  readonly ramBytes: number;
  /** Takes its messages, by their data. */
  onMessage: (data: number) => void;
}

/** Host memory of a machine, to be shared with other threads before it is made. */
export function newCardMemory({ vfs, ramBytes = 2 * MIB }: CardPlan): HostMemory {
  const functions = vfs.length + new Set(vfs).size;
  const tables = MIB + functions * 16 * PAGE_BYTES + functions * 2 * (ramBytes >>> 9);
  const bytes = functions * (ramBytes + SCRATCH_BYTES + PAGE_BYTES) + ESWITCH_AREA_BYTES + tables;
  return HostMemory.create(Math.ceil(bytes / MIB) * MIB);
}

/**
 * A machine with one card: an external port, physical functions of one or several kinds, virtual ones, a switch between them,
 * behind a root port and a VT-d unit in which every function has a domain of its own. All in one thread; drivers may be in
 * others.
 */
export class CardMachine implements Stepped {
  readonly memory: HostMemory;
  readonly eswitch: Eswitch;
  readonly complex: RootComplex = new RootComplex();
  /** All functions are behind it. */
  readonly iommu: VtdUnit;
  /** By kind, in the order of the physical functions. */
  readonly nics: readonly SriovNic[];
  /** Of the physical functions, in their order. */
  readonly hosts: readonly CardFunction[];
  /** Of the virtual ones. */
  readonly guests: readonly CardFunction[];
  private readonly kinds: readonly FunctionKind[];
  private readonly ramBytes: number;
  private readonly own: PageAllocator;
  private readonly byRouting: Map<number, CardFunction> = new Map();
  private readonly found: Map<number, FoundFunction> = new Map();

  constructor(plan: CardPlan, memory: HostMemory = newCardMemory(plan)) {
    const { vfs, now, ramBytes = 2 * MIB } = plan;
    this.memory = memory;
    this.ramBytes = ramBytes;
    this.kinds = [...new Set(vfs)];
    const functions = vfs.length + this.kinds.length;
    const ram = functions * ramBytes;
    this.own = new PageAllocator(ram, memory.size - ram);
    // The first physical function has the switch's own port for one; of any other it is one more function.
    this.eswitch = new Eswitch({
      memory,
      at: this.own.allocate(ESWITCH_AREA_BYTES),
      virtualFunctions: functions - 1,
      now,
      ...(plan.gate === undefined ? {} : { gate: plan.gate }),
      ...plan.eswitch,
    });
    this.guests = vfs.map((kind, vf) => this.guestFunction(kind, vf, vfs));
    this.hosts = this.kinds.map((kind, place) => this.hostFunction(kind, place, vfs.length));
    for (const one of [...this.guests, ...this.hosts]) {
      this.byRouting.set(one.routingId, one);
      one.port.configure({ mac: one.mac });
    }
    const { iommu, openSpace } = this.openIommu();
    this.iommu = iommu;
    this.nics = this.kinds.map(
      (kind, place) =>
        new SriovNic({
          ...kindOptions(kind, this.partsOf(kind, place, plan)),
          routing: routingOf(place),
          plainRouting: routingOf(place),
          physicalId: physicalId(place),
          nextFunction: place + 1 < this.kinds.length ? place + 1 : 0,
          openSpace,
          sendMessage: (id, _low, _high, data) => this.byRouting.get(id)!.onMessage(data),
        }),
    );
    this.findCard();
  }

  /** Virtual functions on, once their physical one's driver runs. */
  enable(host: CardFunction): void {
    const count = this.guests.filter(({ kind }) => kind === host.kind).length;
    for (const found of enableVfs(this.complex, this.found.get(host.routingId)!, count))
      this.found.set(found.routingId, found);
  }

  /** A function as its driver sees it. */
  access({ routingId }: CardFunction): AssignedFunction {
    return new AssignedFunction(this.complex, this.found.get(routingId)!);
  }

  /** Its guest's memory, as the guest has it. */
  dma(of: CardFunction): DmaMemory {
    return cardDma(this.memory, of);
  }

  step(budget: number): number {
    let done = 0;
    for (const nic of this.nics) done += nic.step(budget);
    return done;
  }

  deadline(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const nic of this.nics) first = Math.min(first, nic.deadline());
    return first;
  }

  private guestFunction(kind: FunctionKind, vf: number, vfs: readonly FunctionKind[]): CardFunction {
    const index = vfs.slice(0, vf).filter((other) => other === kind).length;
    const { first } = routingOf(this.kinds.indexOf(kind));
    return {
      ...this.ofGuest(vf),
      kind,
      vf,
      index,
      routingId: physicalId(this.kinds.indexOf(kind)) + first + index,
      port: this.eswitch.virtual[vf]!,
    };
  }

  private hostFunction(kind: FunctionKind, place: number, vfs: number): CardFunction {
    const port = place === 0 ? this.eswitch.physical : this.eswitch.virtual[vfs + place - 1]!;
    // What a physical function sends is the host's affair.
    port.configure({ trusted: true, checkMac: false });
    return { ...this.ofGuest(vfs + place), kind, vf: -1, index: -1, routingId: physicalId(place), port };
  }

  private ofGuest(number: number): Pick<CardFunction, 'mac' | 'ramAt' | 'ramBytes' | 'onMessage'> {
    const { ramBytes } = this;
    return { mac: stationMac(number + 1), ramAt: number * ramBytes, ramBytes, onMessage: () => {} };
  }

  private partsOf(kind: FunctionKind, place: number, { now, pairs = 1 }: CardPlan): KindParts {
    const { memory, own } = this;
    const mine = this.guests.filter((guest) => guest.kind === kind);
    const of = (index: number): CardFunction => mine[index] ?? this.hosts[place]!;
    const scratches = Array.from({ length: mine.length + 1 }, () => own.allocate(SCRATCH_BYTES));
    return {
      memory,
      totalVfs: mine.length,
      pairs,
      now,
      portOf: (index) => of(index).port,
      macOf: (index) => of(index).mac,
      scratchOf: (index) => scratches[index + 1]!,
    };
  }

  /** A VT-d unit, and a domain for each function: RAM of its guest, and nothing else. */
  private openIommu(): { iommu: VtdUnit; openSpace: (requesterId: number) => IommuSpace } {
    const { memory, own: allocator } = this;
    const physical = new IdentitySpace(memory);
    const bus = new InvalidationBus(new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)));
    const requesters = new RequesterTable({ physical, allocator, sink: bus });
    let id = 0;
    for (const { routingId, ramAt, ramBytes } of this.byRouting.values()) {
      const domain = new IommuDomain({ id: ++id, physical, allocator, sink: bus, largestPage: PAGE_BYTES });
      domain.map(RAM, ramAt, ramBytes, ACCESS.READ | ACCESS.WRITE);
      requesters.attach(routingId, domain);
    }
    const iommu = vtdUnit(physical, bus, requesters.root, new VtdCaches());
    const iotlb = new Iotlb(8192);
    return { iommu, openSpace: (sourceId) => new IommuSpace({ unit: iommu, sourceId, physical, iotlb, bus }) };
  }

  /** As firmware and a kernel do it. */
  private findCard(): void {
    const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
    for (const [place, nic] of this.nics.entries()) port.secondary.plug(place, nic);
    this.complex.bus.plug(8, port);
    const found = scanBuses(this.complex);
    placeBars(this.complex, found, RANGES);
    for (const one of found) this.found.set(one.routingId, one);
  }
}

/** Address of the n-th station of the card: virtual functions from 1 on, then physical ones. */
export const stationMac = (number: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, number >>> 8, number & 0xff);

/** A guest's memory, in whichever thread. */
export function cardDma(memory: HostMemory, { ramAt, ramBytes }: Pick<CardFunction, 'ramAt' | 'ramBytes'>): DmaMemory {
  const space = new GuestMemory(memory, [{ gpa: RAM, size: ramBytes, host: ramAt }]);
  return guestDma(space, new PageAllocator(RAM, ramBytes));
}

const physicalId = (place: number): number => (BUS_OF_CARD << 8) | place;
const routingOf = (place: number): { first: number; stride: number } => ({
  first: ((VF_BUS + place) << 8) - physicalId(place),
  stride: 1,
});
