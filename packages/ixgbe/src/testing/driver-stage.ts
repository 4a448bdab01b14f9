import { ESWITCH_AREA_BYTES, Eswitch, type EswitchOptions } from '@ringwire/eswitch';
import { type DmaMemory, guestDma, isBreakdown } from '@ringwire/guest-drivers';
import {
  type IxgbePf,
  type IxgbePfSetup,
  type IxgbeVf,
  type IxgbeVfSetup,
  openIxgbePf,
  openIxgbeVf,
} from '@ringwire/guest-drivers/ixgbe';
import { ACCESS, GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { IommuDomain } from '@ringwire/iommu';
import { RequesterStage } from '@ringwire/iommu/testing';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { disableVfs, enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { AssignedFunction, SriovNic } from '@ringwire/sriov-nic';
import { IxgbeCard } from '../card.js';
import { IXGBE_SCRATCH_BYTES } from '../function-options.js';
import { ixgbePhysical, ixgbeSriov, ixgbeVirtual } from '../functions.js';

const PF_ID = 0x0100;
const FIRST_VF_ID = 0x0180;
const FUNCTIONS = 5;
/** Guest-physical address of every guest's RAM, and the first address that its function has for any of it. */
const RAM = 0x10_0000_0000;
const IOVA = 0x2_0000_0000;
const RAM_BYTES = 0x40_0000;
const SCRATCH_PITCH: number = Math.ceil(IXGBE_SCRATCH_BYTES / 64) * 64;
const SWITCH_AT: number = FUNCTIONS * RAM_BYTES;
const SCRATCH_AT: number = Math.ceil((SWITCH_AT + ESWITCH_AREA_BYTES) / 64) * 64;
const TABLES_AT: number = Math.ceil((SCRATCH_AT + FUNCTIONS * SCRATCH_PITCH) / 4096) * 4096;
const TABLE_BYTES = 0x20_0000;
const memory = HostMemory.create(Math.ceil((TABLES_AT + TABLE_BYTES) / 0x1_0000) * 0x1_0000);
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};
const MESSAGES = [0, 1, 2].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));
/** Steps of everything until a frame is where it is to go, many times over. */
const TURNS = 200;

/** A frame as a driver of the stage heard it. */
interface Heard {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly hashReport: number;
  readonly vlanTci: number;
}

/** What a driver is, and what came to it. */
export interface Guest<Driver> {
  readonly driver: Driver;
  readonly heard: Heard[];
  readonly told: string[];
}

/** A card with its switch and a wire, its physical function's driver, and guests with a virtual function each. */
export class DriverStage {
  readonly eswitch: Eswitch;
  readonly nic: SriovNic;
  /** Every function has a domain of its own: what its driver maps, and nothing else. */
  readonly iommu: RequesterStage;
  readonly machine: RootComplex = new RootComplex();
  /** What is at the other end of the wire. */
  readonly wire: ScriptedBackend = new ScriptedBackend(0);
  readonly pf: Guest<IxgbePf>;
  readonly guests: (Guest<IxgbeVf> | undefined)[] = [];
  /** Milliseconds. */
  time = 0;
  private readonly physical: FoundFunction;
  private functions: readonly FoundFunction[] = [];
  private readonly assigned: AssignedFunction[] = [];

  constructor(vfs = 3, change: Partial<IxgbePfSetup> = {}, eswitch: Partial<EswitchOptions> = {}) {
    memory.engine.fill(0, 0, memory.size);
    const now = (): number => this.time * 1000;
    this.eswitch = new Eswitch({ memory, at: SWITCH_AT, virtualFunctions: FUNCTIONS - 1, now, ...eswitch });
    this.eswitch.wire.backend.attach(this.wire);
    const card = new IxgbeCard({ memory, mac: macOf(0), now });
    const optionsOf = (number: number) => {
      const port = number === 0 ? this.eswitch.physical : this.eswitch.virtual[number - 1]!;
      return { card, scratch: SCRATCH_AT + number * SCRATCH_PITCH, port };
    };
    const numberOf = (id: number): number => (id === PF_ID ? 0 : 1 + (id - FIRST_VF_ID) / 2);
    this.iommu = new RequesterStage(memory, TABLES_AT, TABLE_BYTES);
    this.nic = new SriovNic({
      ...ixgbeSriov(FUNCTIONS - 1),
      physicalId: PF_ID,
      physical: (place) => ixgbePhysical(place, optionsOf(0)),
      virtual: (place) => ixgbeVirtual(place, optionsOf(1 + place.seat.index)),
      openSpace: (id) => this.iommu.space(id),
      sendMessage: (id, _low, _high, _data, vector) => {
        const number = numberOf(id);
        // Before the constructor is done there is no driver yet.
        const driver = number === 0 ? this.pf?.driver : this.guests[number - 1]?.driver;
        driver?.interrupt(vector);
      },
    });
    const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
    this.machine.bus.plug(8, port);
    port.secondary.plug(0, this.nic);
    const found = scanBuses(this.machine);
    placeBars(this.machine, found, RANGES);
    this.physical = found[1]!;
    this.pf = this.openPf(vfs, change);
    this.functions = enableVfs(this.machine, this.physical, vfs);
  }

  /** The function's view of PCI, as its guest has it. */
  accessOf(vf: number): AssignedFunction {
    this.assigned[vf] ??= new AssignedFunction(this.machine, this.functions[vf]!);
    return this.assigned[vf];
  }

  /** Memory of a virtual function's guest. */
  dmaOf(vf: number): DmaMemory {
    return this.mapped(1 + vf);
  }

  /** What a virtual function reaches. */
  domainOf(vf: number): IommuDomain {
    return this.iommu.domain(FIRST_VF_ID + 2 * vf);
  }

  /** Where an address of a virtual function's is, by what is mapped now. */
  hostOf(vf: number, iova: number): number {
    const [mapping] = [...this.domainOf(vf).mappings(iova, 1)];
    return mapping!.physical + iova - mapping!.iova;
  }

  /** All RAM of a virtual function's guest. */
  bytesOf(vf: number): Uint8Array {
    return memory.u8.slice((1 + vf) * RAM_BYTES, (2 + vf) * RAM_BYTES);
  }

  /** A guest's RAM, of which its function reaches what is allocated, at addresses of its own. */
  private mapped(number: number): DmaMemory {
    const domain = number === 0 ? this.iommu.domain(PF_ID) : this.domainOf(number - 1);
    const addresses = new PageAllocator(IOVA, RAM_BYTES);
    return guestDma(ramOf(number), new PageAllocator(RAM, RAM_BYTES), {
      map: (gpa, bytes) => {
        const iova = addresses.allocate(bytes);
        domain.map(iova, number * RAM_BYTES + gpa - RAM, bytes, ACCESS.READ | ACCESS.WRITE);
        return iova;
      },
      unmap: (iova, bytes) => {
        domain.unmap(iova, bytes);
        addresses.free(iova);
      },
    });
  }

  /** A driver for a virtual function. @param mac whose address it is to have @throws Error when it does not come up */
  open(vf: number, change: Partial<IxgbeVfSetup> = {}, mac: 'own' | 'card' = 'own'): Guest<IxgbeVf> {
    const heard: Heard[] = [];
    const told: string[] = [];
    const driver = openIxgbeVf({
      access: this.accessOf(vf),
      dma: this.dmaOf(vf),
      messages: MESSAGES,
      now: () => this.time,
      ...(mac === 'own' ? { mac: macOf(1 + vf) } : {}),
      patience: { tries: TURNS, pause: () => this.serve() },
      events: {
        frame: hear(heard),
        link: (isUp) => told.push(isUp ? 'up' : 'down'),
        broken: (why, again) => told.push(`${again ? 'again' : 'over'}: ${why.message}`),
        restarted: () => told.push('restarted'),
        sent: (cookie) => told.push(`sent ${cookie}`),
        writable: () => told.push('writable'),
      },
      ...change,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    const guest = { driver, heard, told };
    this.guests[vf] = guest;
    this.run();
    return guest;
  }

  /** Everybody takes turns until nobody has anything to do. */
  run(): void {
    for (let turn = 0; turn < TURNS; turn++) {
      let done = this.nic.step(64);
      for (const guest of [this.pf, ...this.guests]) {
        if (guest?.driver.needsPoll !== true) continue;
        guest.driver.poll();
        done++;
      }
      if (done === 0) return;
    }
    throw new Error('there is no end to it');
  }

  /** Time goes by, and everybody looks after what waits. */
  pass(milliseconds: number): void {
    for (const end = this.time + milliseconds; this.time < end; ) {
      this.time += 50;
      for (const guest of [this.pf, ...this.guests]) guest?.driver.watch();
      this.run();
    }
  }

  /** Function-level reset of a virtual function, as its host does it. */
  resetVf(vf: number): void {
    const id = this.functions[vf]!.routingId;
    const express = this.machine.functionAt(id)!.capabilityAt(0x10);
    const control = this.machine.configRead(id, express + 8, 2);
    this.machine.configWrite(id, express + 8, 2, control | 0x8000);
  }

  /** A register of the physical function. */
  pfRead(register: number): number {
    return this.machine.memoryRead(this.nic.pci.barAddress(0)! + register, 4);
  }

  pfWrite(register: number, value: number): void {
    this.machine.memoryWrite(this.nic.pci.barAddress(0)! + register, 4, value);
  }

  removeVfs(): void {
    disableVfs(this.machine, this.physical);
  }

  /** Bytes that came out of the wire. */
  get onWire(): readonly Uint8Array[] {
    return this.wire.bytes;
  }

  /** A turn of those that a waiting driver depends on. */
  private serve(): void {
    this.nic.step(64);
    if (this.pf?.driver.needsPoll === true) this.pf.driver.poll();
  }

  private openPf(vfs: number, change: Partial<IxgbePfSetup>): Guest<IxgbePf> {
    const heard: Heard[] = [];
    const told: string[] = [];
    const driver = openIxgbePf({
      access: new AssignedFunction(this.machine, this.physical),
      dma: this.mapped(0),
      messages: MESSAGES,
      now: () => this.time,
      vfs,
      patience: { tries: TURNS, pause: () => this.nic.step(64) },
      random: () => 0.5,
      events: {
        frame: hear(heard),
        misbehaved: (vf, what) => told.push(`VF ${vf}, ${what}`),
        broken: (why) => told.push(why.message),
      },
      ...change,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    return { driver, heard, told };
  }
}

/** Of the physical function: 0; of virtual function i: 1 + i. */
export const macOf = (number: number): Uint8Array => Uint8Array.of(0, 0x1b, 0x21, 0, 0, number);

const ramOf = (number: number): GuestMemory =>
  new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: number * RAM_BYTES }]);

function hear(heard: Heard[]) {
  return (frame: Parameters<IxgbeVfSetup['events']['frame']>[0]): void => {
    const { flags, hashReport, vlanTci } = frame.offload;
    heard.push({ bytes: frame.bytes(), flags, hashReport, vlanTci });
  };
}

/** A frame from one station to another, with counting bytes behind its header. */
export function frameTo(
  to: Uint8Array,
  from: Uint8Array,
  length = 60,
  etherType: readonly number[] = [0x88, 0xb5],
): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => i & 0xff);
  frame.set([...to, ...from, ...etherType]);
  return frame;
}
