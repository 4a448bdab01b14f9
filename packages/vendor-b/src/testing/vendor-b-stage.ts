import { ESWITCH_AREA_BYTES, Eswitch } from '@ringwire/eswitch';
import { type DmaMemory, guestDma, isBreakdown, type MsixMessage, type PciAccess } from '@ringwire/guest-drivers';
import { openVendorBDriver, type VendorBDriver, type VendorBSetup } from '@ringwire/guest-drivers/vendor-b';
import { ACCESS, GuestMemory, type GuestRegion, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { IommuSpace } from '@ringwire/iommu';
import { RequesterStage } from '@ringwire/iommu/testing';
import { LearningSwitch } from '@ringwire/net-backend';
import { VENDOR_B_ID } from '@ringwire/nic-spec/vendor-b';
import { disableVfs, enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { AssignedFunction, type FunctionCable, type ReceiveTrace, SriovNic } from '@ringwire/sriov-nic';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import { VendorBCard } from '../vendor-b-card.js';
import type { VendorBFunction } from '../vendor-b-function.js';
import { vendorBVfBars } from '../vendor-b-pci.js';
import { BurstSpace } from './burst-space.js';

const PF = 0x0100;
export const FIRST_VF = 0x0180;
/** Where RAM is for every function. */
export const RAM = 0x1_0000_0000;
export const RAM_BYTES = 0x10_0000;
const VFS = 4;
const FUNCTIONS = VFS + 1;
/** Where the host's commands to a function are. */
const CONTROL = 0x2_0000_0000;
const CONTROL_BYTES = 0x1000;
const CONTROLS: number = FUNCTIONS * RAM_BYTES;
const SCRATCH: number = CONTROLS + FUNCTIONS * CONTROL_BYTES;
/** Made once: WebAssembly memories are few. */
const SWITCH: number = Math.ceil((SCRATCH + FUNCTIONS * NET_SCRATCH_BYTES) / 8) * 8;
const TABLES: number = Math.ceil((SWITCH + ESWITCH_AREA_BYTES) / 4096) * 4096;
const TABLE_BYTES = 0x10_0000;
const memory = HostMemory.create(TABLES + TABLE_BYTES);
export const MESSAGES: [MsixMessage, MsixMessage, MsixMessage, MsixMessage] = [
  { addressLo: 0xfee0_0000, addressHi: 0, data: 0 },
  { addressLo: 0xfee0_0000, addressHi: 0, data: 1 },
  { addressLo: 0xfee0_0000, addressHi: 0, data: 2 },
  { addressLo: 0xfee0_0000, addressHi: 0, data: 3 },
];
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};

/** Of the physical function, -1, and of virtual ones from 0 on. */
export const macOf = (index: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0xb0, index + 1);

/** A frame with a number behind the header. */
export function frameTo(to: Uint8Array, from: Uint8Array, number: number, bytes = 60): Uint8Array {
  const frame = new Uint8Array(bytes).fill(number & 0xff, 16);
  frame.set(to);
  frame.set(from, 6);
  frame.set([0x88, 0xb5, number >>> 8, number & 0xff], 12);
  return frame;
}
export const numberIn = (frame: Uint8Array): number => (frame[14]! << 8) | frame[15]!;

/** What a function reaches: a guest's RAM, and what its own host has for commands. */
export const regionsOf = (index: number, guest: number = index): GuestRegion[] => [
  { gpa: RAM, size: RAM_BYTES, host: (guest + 1) * RAM_BYTES },
  { gpa: CONTROL, size: CONTROL_BYTES, host: CONTROLS + (index + 1) * CONTROL_BYTES },
];

/** Whose RAM is where. */
export const OWNERS = Array.from({ length: FUNCTIONS }, (_, place) => ({
  name: `guest ${place - 1}`,
  host: place * RAM_BYTES,
  bytes: RAM_BYTES,
}));

/** What one function has on its guest's side. */
export class StageSide {
  readonly index: number;
  readonly access: PciAccess;
  readonly dma: DmaMemory;
  readonly pages: PageAllocator;
  /** The driver's own way to memory, without bursts. */
  readonly ram: GuestMemory;
  readonly heard: Uint8Array[] = [];
  /** Messages that came, by vector. */
  readonly messages: number[] = [];
  driver: VendorBDriver | undefined = undefined;
  private readonly stage: VendorBStage;

  constructor(stage: VendorBStage, index: number, found: FoundFunction) {
    this.stage = stage;
    this.index = index;
    this.access = new AssignedFunction(stage.machine, found);
    this.pages = new PageAllocator(RAM, RAM_BYTES);
    this.ram = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: (index + 1) * RAM_BYTES }]);
    this.dma = guestDma(this.ram, this.pages);
  }

  /** Memory for commands, apart from the guest's. */
  get controlDma(): DmaMemory {
    const space = new GuestMemory(memory, regionsOf(this.index).slice(1));
    return guestDma(space, new PageAllocator(CONTROL, CONTROL_BYTES));
  }

  get patience(): { tries: number; pause: () => void } {
    return { tries: 20, pause: () => this.stage.nic.step(16) };
  }

  /** Bring a driver up. @throws Error when the function does not do */
  drive(setup: Partial<VendorBSetup> = {}): VendorBDriver {
    const driver = openVendorBDriver({
      access: this.access,
      dma: this.dma,
      messages: [MESSAGES[0], MESSAGES[1]],
      patience: this.patience,
      entries: 16,
      ...setup,
      events: { frame: (frame) => this.heard.push(frame.bytes()), ...setup.events },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
    return driver;
  }

  /** Messages reach the driver. @returns whether there was any */
  turn(): boolean {
    const moved = this.messages.length > 0;
    for (const vector of this.messages.splice(0)) this.driver?.interrupt(vector);
    while (this.driver?.needsPoll === true) this.driver.poll();
    return moved;
  }

  get function(): VendorBFunction {
    return this.stage.card.functions.get(this.index)!;
  }

  /** All of its RAM. */
  bytes(): Uint8Array {
    return memory.u8.slice((this.index + 1) * RAM_BYTES, (this.index + 2) * RAM_BYTES);
  }
}

interface StageOptions {
  readonly hasSwitch?: boolean;
  /** Watches functions, and their messages. */
  readonly trace?: ReceiveTrace;
  readonly holdWhenFull?: boolean;
  /** Functions reach memory through a VT-d unit, each by a domain of its own. */
  readonly isTranslated?: boolean;
}

function switchOf(now: () => number): Eswitch {
  const eswitch = new Eswitch({ memory, at: SWITCH, virtualFunctions: VFS, now, floating: true });
  eswitch.physical.configure({ mac: macOf(-1) });
  for (const [index, port] of eswitch.virtual.entries()) port.configure({ mac: macOf(index) });
  return eswitch;
}

/** A machine with a card of vendor B's behind a root port, and a learning switch, or a card's switch, inside it. */
export class VendorBStage {
  readonly memory = memory;
  readonly machine = new RootComplex();
  readonly card: VendorBCard;
  readonly nic: SriovNic;
  readonly wires = new LearningSwitch(FUNCTIONS);
  readonly spaces = new Map<number, BurstSpace>();
  readonly sides = new Map<number, StageSide>();
  time = 0;
  found: FoundFunction[];
  private readonly pf: FoundFunction;

  /** The card's switch, where it was asked for. */
  readonly eswitch: Eswitch | undefined;

  /** The unit between functions and memory, where it was asked for. */
  readonly iommu: RequesterStage | undefined;

  private readonly trace: ReceiveTrace | undefined;

  constructor({ hasSwitch = false, isTranslated = false, trace, ...options }: StageOptions = {}) {
    this.trace = trace;
    memory.engine.fill(0, 0, memory.size);
    this.iommu = isTranslated ? new RequesterStage(memory, TABLES, TABLE_BYTES) : undefined;
    this.eswitch = hasSwitch ? switchOf(() => this.time) : undefined;
    this.card = new VendorBCard({
      totalVfs: VFS,
      functionOptions: (index) => ({
        memory,
        scratch: SCRATCH + (index + 1) * NET_SCRATCH_BYTES,
        ...this.cableOf(index),
        now: () => this.time,
        holdWhenFull: true,
        ...options,
      }),
    });
    this.nic = new SriovNic({
      totalVfs: VFS,
      vfDeviceId: VENDOR_B_ID.VF,
      routing: { first: FIRST_VF - PF, stride: 1 },
      plainRouting: { first: 0x100, stride: 1 },
      vfBars: vendorBVfBars(),
      physicalId: PF,
      physical: (place) => this.card.physical(place),
      virtual: (place) => this.card.virtual(place),
      openSpace: (requesterId) => {
        const index = requesterId === PF ? -1 : requesterId - FIRST_VF;
        if (this.iommu !== undefined) return translated(this.iommu, requesterId, index);
        const space = new BurstSpace(memory, regionsOf(index));
        this.spaces.set(index, space);
        return trace?.space(requesterId, space) ?? space;
      },
      sendMessage: (requesterId, _low, _high, data, vector) => {
        trace?.physicalInterrupt(requesterId, vector, 0);
        this.sides.get(requesterId === PF ? -1 : requesterId - FIRST_VF)?.messages.push(data);
      },
    });
    const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
    port.secondary.plug(0, this.nic);
    this.machine.bus.plug(8, port);
    this.found = scanBuses(this.machine);
    placeBars(this.machine, this.found, RANGES);
    this.pf = this.found.find(({ routingId }) => routingId === PF)!;
  }

  /** The physical function's side. */
  host(): StageSide {
    return this.side(-1, this.pf);
  }

  /** Virtual functions on. */
  enable(count: number): StageSide[] {
    const vfs = enableVfs(this.machine, this.pf, count);
    return vfs.map((found, index) => this.side(index, found));
  }

  disable(): void {
    disableVfs(this.machine, this.pf);
  }

  turn(): boolean {
    return this.turnOthers(undefined);
  }

  /** A turn of the card, and of all drivers but one side's. */
  turnOthers(than: StageSide | undefined): boolean {
    let moved = this.nic.step(16) > 0;
    for (const side of this.sides.values()) if (side !== than) moved = side.turn() || moved;
    return moved;
  }

  /** Turns until nothing moves. @throws when that takes too many */
  settle(): void {
    for (let turns = 0; turns < 1000; turns++) if (!this.turn()) return;
    throw new Error('card and drivers do not come to rest');
  }

  private cableOf(index: number): FunctionCable {
    const { eswitch, wires, trace } = this;
    if (eswitch === undefined) {
      const port = wires.ports[index + 1]!;
      return { backend: trace?.port(index < 0 ? PF : FIRST_VF + index, port) ?? port, mac: macOf(index) };
    }
    return { port: index < 0 ? eswitch.physical : eswitch.virtual[index]! };
  }

  private side(index: number, found: FoundFunction): StageSide {
    const side = new StageSide(this, index, found);
    this.sides.set(index, side);
    return side;
  }
}

/** A function's way through the unit, to all that is its guest's and its host's. */
function translated(iommu: RequesterStage, requesterId: number, index: number): IommuSpace {
  const domain = iommu.domain(requesterId);
  if (domain.mappedBytes === 0)
    for (const { gpa, size, host } of regionsOf(index)) domain.map(gpa, host, size, ACCESS.READ | ACCESS.WRITE);
  return iommu.space(requesterId);
}
