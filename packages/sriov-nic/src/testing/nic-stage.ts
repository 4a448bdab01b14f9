import { createHash } from 'node:crypto';
import { ESWITCH_AREA_BYTES, Eswitch } from '@ringwire/eswitch';
import {
  guestDma,
  isBreakdown,
  type NetDriver,
  openNetDriver,
  openPciTransport,
  type PciTransport,
} from '@ringwire/guest-drivers';
import { ACCESS, GuestMemory, HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import {
  BUS_WORDS,
  InvalidationBus,
  IommuDomain,
  IommuSpace,
  Iotlb,
  PinAccount,
  PinMap,
  RequesterTable,
  VfioContainer,
  VfioGroup,
  VtdUnit,
} from '@ringwire/iommu';
import { LearningSwitch } from '@ringwire/net-backend';
import { disableVfs, enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import type { AdministeredFunctions } from '../administered-functions.js';
import { AssignedFunction } from '../assignment/assigned-function.js';
import { FunctionAssignment, type FunctionGuest, PASS_THROUGH } from '../assignment/function-assignment.js';
import { isRefusal } from '../assignment/refusal.js';
import { enableAcs } from '../assignment/topology.js';
import { MessageRouter } from '../message-router.js';
import { SriovNic } from '../sriov-nic.js';
import { VIRTIO_NET_VF_ID, virtioFunction, virtioPhysical, virtioVfBars } from '../virtio-personality.js';

export const PF = 0x0100;
export const FIRST_VF = 0x0180;
/** Where RAM is for every guest. */
export const RAM = 0x1_0000_0000;
export const RAM_BYTES = 0x6_0000;
const VFS_MAX = 64;
const GUESTS_MAX = VFS_MAX + 1;
const SCRATCH: number = GUESTS_MAX * RAM_BYTES;
const TABLES: number = Math.ceil((SCRATCH + (VFS_MAX + 1) * NET_SCRATCH_BYTES) / 4096) * 4096;
const TABLE_BYTES = 0x80_0000;
/** Made once: WebAssembly memories are few. */
const CARD: number = TABLES + TABLE_BYTES;
const memory = HostMemory.create(CARD + ESWITCH_AREA_BYTES);
const MESSAGES = [0, 1, 2, 3].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));
/** VT-d registers and commands. */
const RTADDR = 0x20;
const GCMD = 0x18;
const SET_ROOT_TABLE = 0x4000_0000;
const TRANSLATION_ENABLE = 0x8000_0000;
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};

export const macOf = (number: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, number);

/** A frame of 60 bytes with a number behind the header. */
export function frameTo(to: Uint8Array, from: Uint8Array, number: number): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set(to);
  frame.set(from, 6);
  frame.set([0x88, 0xb5, number >>> 8, number & 0xff], 12);
  return frame;
}
export const numberIn = (frame: Uint8Array): number => (frame[14]! << 8) | frame[15]!;

/** A guest: RAM, a domain, and a driver for each function that it was given. */
export class StageGuest implements FunctionGuest {
  readonly name: string;
  readonly container: VfioContainer;
  readonly space: GuestMemory;
  readonly ram: FunctionGuest['ram'];
  /** Frames that its drivers received. */
  readonly heard: Uint8Array[] = [];
  readonly drivers = new Map<number, NetDriver>();
  /** Registers that its last driver works on. */
  transport: PciTransport | undefined;
  private pages = new PageAllocator(RAM, RAM_BYTES);
  private readonly waiting: [routingId: number, vector: number][] = [];

  constructor(stage: NicStage, index: number, account: PinAccount) {
    this.name = `guest ${index}`;
    const physical = index * RAM_BYTES;
    this.container = new VfioContainer({
      domain: stage.domain(index + 1),
      requesters: stage.requesters,
      physical: stage.physical,
      pins: stage.pins,
      account,
    });
    this.space = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: physical }]);
    this.ram = [{ gpa: RAM, physical, bytes: RAM_BYTES, access: ACCESS.READ | ACCESS.WRITE }];
  }

  message(routingId: number, _low: number, _high: number, data: number, _vector: number): void {
    this.waiting.push([routingId, data]);
  }

  /** Bring a driver up on a function. */
  drive(view: AssignedFunction): NetDriver {
    const transport = openPciTransport(view);
    if (isBreakdown(transport)) throw new Error(transport.message);
    this.transport = transport;
    const driver = openNetDriver({
      transport,
      dma: guestDma(this.space, this.pages),
      messages: MESSAGES,
      queueSize: 16,
      copyPages: 17,
      receiveBytes: 0x8000,
      mergeableBytes: 2048,
      now: () => 0,
      recovery: { tries: 0, pause: 0 },
      events: { frame: (frame) => this.heard.push(frame.bytes()) },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.drivers.set(view.routingId, driver);
    return driver;
  }

  /** The guest starts anew: drivers and what they allocated are gone. */
  forget(): void {
    this.drivers.clear();
    this.waiting.length = 0;
    this.heard.length = 0;
    this.pages = new PageAllocator(RAM, RAM_BYTES);
  }

  /** Interrupts reach the drivers. @returns whether there was any */
  turn(): boolean {
    const moved = this.waiting.length > 0;
    for (const [routingId, vector] of this.waiting.splice(0)) this.drivers.get(routingId)?.interrupt(vector);
    for (const driver of this.drivers.values()) while (driver.needsPoll) driver.poll();
    return moved;
  }

  /** Of its bytes now: a digest, which changes with any of them. */
  digest(): string {
    const start = this.ram[0]!.physical;
    return createHash('sha1')
      .update(memory.u8.slice(start, start + RAM_BYTES))
      .digest('hex');
  }
}

function cardOf(virtualFunctions: number): Eswitch {
  const card = new Eswitch({ memory, at: CARD, virtualFunctions, now: () => 0, floating: true });
  card.physical.configure({ mac: macOf(0) });
  for (const [index, port] of card.virtual.entries()) port.configure({ mac: macOf(index + 1) });
  return card;
}

/** A machine with a card behind a root port, a VT-d unit, and a learning switch with a port for each function. */
export class NicStage {
  readonly physical = new IdentitySpace(memory);
  readonly pins = new PinMap();
  readonly requesters: RequesterTable;
  readonly machine = new RootComplex();
  readonly port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
  readonly messages = new MessageRouter();
  /** Port 0 is the physical function's, n + 1 that of virtual function n. */
  readonly wires: LearningSwitch;
  /** In place of it, where it was asked for: a card's switch, whose functions have the addresses that they have anyway. */
  readonly card: Eswitch | undefined;
  readonly nic: SriovNic;
  pf: FoundFunction;
  /** The way of each requester that is there to memory. */
  readonly spaces = new Map<number, IommuSpace>();
  readonly assignment: FunctionAssignment;
  readonly guests: StageGuest[] = [];
  /** Functions made, and closed again. */
  made = 0;
  closed = 0;
  found: FoundFunction[];
  private readonly bus = new InvalidationBus(new Int32Array(BUS_WORDS));
  private readonly allocator = new PageAllocator(TABLES, TABLE_BYTES);

  constructor(totalVfs = 8, hasCard = false, administered?: AdministeredFunctions) {
    memory.engine.fill(0, 0, memory.size);
    const { physical, bus, allocator, messages } = this;
    this.requesters = new RequesterTable({ physical, allocator, sink: bus });
    const unit = new VtdUnit({ memory: physical, sink: bus });
    unit.write(RTADDR, 8, BigInt(this.requesters.root));
    unit.write(GCMD, 4, SET_ROOT_TABLE);
    unit.write(GCMD, 4, TRANSLATION_ENABLE);
    const iotlb = new Iotlb(4096);
    this.wires = new LearningSwitch(totalVfs + 1);
    this.card = hasCard ? cardOf(totalVfs) : undefined;
    const options = (function_: number) => ({
      memory,
      scratch: SCRATCH + function_ * NET_SCRATCH_BYTES,
      ...(administered === undefined ? {} : { administered }),
      ...(this.card === undefined
        ? { backend: this.wires.ports[function_]!, mac: macOf(function_) }
        : { port: function_ === 0 ? this.card.physical : this.card.virtual[function_ - 1]! }),
    });
    this.nic = new SriovNic({
      totalVfs,
      vfDeviceId: VIRTIO_NET_VF_ID,
      routing: { first: FIRST_VF - PF, stride: 1 },
      plainRouting: { first: 0x100, stride: 1 },
      vfBars: virtioVfBars(),
      physicalId: PF,
      physical: (place) => virtioPhysical(place, options(0)),
      virtual: (place) => {
        this.made++;
        const personality = virtioFunction(place, options(place.seat.index + 1));
        return {
          ...personality,
          close: () => {
            personality.close();
            this.closed++;
          },
        };
      },
      openSpace: (sourceId) => {
        const space = new IommuSpace({ unit, sourceId, physical, iotlb, bus });
        this.spaces.set(sourceId, space);
        return space;
      },
      sendMessage: (...message) => messages.deliver(...message),
    });
    this.port.secondary.plug(0, this.nic);
    this.machine.bus.plug(8, this.port);
    this.found = [];
    this.pf = this.place();
    this.assignment = new FunctionAssignment({ machine: this.machine, found: () => this.found, messages });
  }

  /** Number buses and place BARs, as after power-on, or after a reset of the card. @returns the physical function */
  place(): FoundFunction {
    this.found = scanBuses(this.machine);
    placeBars(this.machine, this.found, RANGES);
    enableAcs(this.machine, this.found);
    this.pf = this.found.find(({ routingId }) => routingId === PF)!;
    return this.pf;
  }

  domain(id: number): IommuDomain {
    return new IommuDomain({ id, physical: this.physical, allocator: this.allocator, sink: this.bus });
  }

  /** Virtual functions on, all bound to the driver that gives them away. */
  enable(count: number): FoundFunction[] {
    const vfs = enableVfs(this.machine, this.pf, count);
    this.found = [...this.found, ...vfs];
    for (const { routingId } of vfs) this.assignment.bind(routingId, PASS_THROUGH);
    return vfs;
  }

  disable(): void {
    disableVfs(this.machine, this.pf);
    this.found = this.found.filter(({ physicalId }) => physicalId === undefined);
  }

  newGuest(account = new PinAccount('guest', Number.POSITIVE_INFINITY)): StageGuest {
    const guest = new StageGuest(this, this.guests.length, account);
    this.guests.push(guest);
    return guest;
  }

  /** A function given to a guest. @throws Error when it is refused */
  give(routingId: number, guest: StageGuest): AssignedFunction {
    const view = this.assignment.assign(routingId, guest);
    if (isRefusal(view)) throw new Error(view.message);
    return view;
  }

  /** The host's own driver on the physical function. */
  driveHost(): StageGuest {
    const host = this.newGuest();
    host.container.attach(new VfioGroup(PF, [PF]));
    for (const { gpa, physical, bytes, access } of host.ram)
      host.container.map(gpa, physical, bytes, access, host.name);
    this.assignment.bind(PF, 'virtio-pci');
    this.messages.route(PF, (...message) => host.message(PF, ...message));
    host.drive(new AssignedFunction(this.machine, this.pf));
    return host;
  }

  /** As many virtual functions as guests, each with one and a running driver. */
  start(count: number): StageGuest[] {
    return this.enable(count).map(({ routingId }) => {
      const guest = this.newGuest();
      guest.drive(this.give(routingId, guest));
      return guest;
    });
  }

  turn(): boolean {
    let moved = this.nic.step(16) > 0;
    for (const guest of this.guests) moved = guest.turn() || moved;
    return moved;
  }

  /** Turns until nothing moves. @throws when that takes too many */
  settle(): void {
    for (let turns = 0; turns < 1000; turns++) if (!this.turn()) return;
    throw new Error('card and drivers do not come to rest');
  }
}
