import { pciExpress } from '../express-capability.js';
import { advancedErrorReporting, alternativeRoutingId } from '../extended-capabilities.js';
import { msix } from '../msix-capability.js';
import { PciFunction } from '../pci-function.js';
import { PciPort } from '../pci-port.js';
import { RootComplex } from '../root-complex.js';
import type { SriovOptions } from '../sriov-capability.js';
import { VirtualFunctions } from '../virtual-functions.js';
import type { VirtualSeat } from '../virtual-seat.js';

/** Where the test machine's functions are, as it is numbered by {@link SriovMachine.number}. */
export const PORT = 0x0008;
export const PF = 0x0100;
/** With ARI: 128 behind the physical function, one after the other. */
export const FIRST_VF = 0x0180;
/** In the physical function's configuration space. */
export const SRIOV = 0x160;
/** Of the function's registers, behind BAR 0 of the physical one and VF BAR 0. */
export const REGISTERS = 0x100;
export const VF_BAR_SIZE = 0x4000;
export const VF_BASE = 0x10_0000_0000;

const IDS = { vendorId: 0x8086, subsystemVendorId: 0x1af4, subsystemId: 0x1100, revisionId: 1, classCode: 0x02_0000 };

/** What a function did, in order, each with its name: `pf` or `vf3`. */
type Log = string[];

/** A root port with a device behind it: a physical function with up to 8 virtual ones, each with 256 bytes of registers. */
export class SriovMachine {
  readonly log: Log = [];
  readonly machine: RootComplex = new RootComplex();
  readonly port: PciPort;
  readonly virtualFunctions: VirtualFunctions;
  readonly pf: PciFunction;
  /** Registers of each function, by name. */
  readonly registers = new Map<string, Uint8Array>();
  readonly seats: VirtualSeat[] = [];

  constructor(change: Partial<SriovOptions> = {}) {
    this.port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
    this.virtualFunctions = new VirtualFunctions({
      totalVfs: 8,
      vfDeviceId: 0x10ca,
      routing: { first: 0x80, stride: 1 },
      plainRouting: { first: 0x180, stride: 2 },
      vfBars: [
        { index: 0, space: 'memory64', size: VF_BAR_SIZE, prefetchable: true },
        { index: 3, space: 'memory32', size: 0x1000 },
      ],
      ...change,
      make: (seat) => this.makeVf(seat),
    });
    this.pf = new PciFunction(
      {
        ...IDS,
        deviceId: 0x10c9,
        bars: [{ index: 0, space: 'memory32', size: 0x1000, regions: [this.region('pf', 0)] }],
        capabilities: [
          pciExpress(),
          advancedErrorReporting(),
          { ...alternativeRoutingId(0), at: 0x150 },
          { ...this.virtualFunctions.capability, at: SRIOV },
        ],
      },
      { sendMessage: () => {}, setIntx: () => {} },
      {
        reset: (kind) => this.log.push(`pf reset ${kind}`),
        masterChanged: (allowed) => this.log.push(`pf master ${allowed}`),
        removed: () => this.log.push('pf removed'),
      },
    );
    this.port.secondary.plug(0, this);
    this.machine.bus.plug(PORT, this.port);
  }

  /** As the occupant of a bus. */
  get pci(): PciFunction {
    return this.pf;
  }

  /** The port leads to buses 1 to 3, forwards ARI, and has windows at 0xfe000000 and {@link VF_BASE}, 16 MiB each. */
  number(ari = true): void {
    const { machine } = this;
    machine.configWrite(PORT, 0x18, 4, 0x0003_0100);
    machine.configWrite(PORT, 0x20, 4, 0xfef0_fe00);
    machine.configWrite(PORT, 0x24, 4, 0x00f0_0000);
    machine.configWrite(PORT, 0x28, 4, VF_BASE / 2 ** 32);
    machine.configWrite(PORT, 0x2c, 4, VF_BASE / 2 ** 32);
    machine.configWrite(PORT, 0x04, 2, 7);
    // Device Control 2 of the port.
    if (ari) machine.configWrite(PORT, 0x48 + 0x28, 2, 0x20);
    machine.configWrite(PF, 0x10, 4, 0xfe00_0000);
    machine.configWrite(PF, 0x04, 2, 6);
    this.writeSriov(0x24, 4, 0);
    this.writeSriov(0x28, 4, VF_BASE / 2 ** 32);
    this.writeSriov(0x24, 4, 0x10_0000);
    this.writeSriov(0x30, 4, 0xfe80_0000);
  }

  /** NumVFs, then VF Enable and MSE, with ARI Capable Hierarchy unless said otherwise. */
  enable(count: number, ari = true): void {
    this.writeSriov(0x08, 2, ari ? 0x10 : 0);
    this.writeSriov(0x10, 2, count);
    this.writeSriov(0x08, 2, ari ? 0x19 : 0x09);
  }

  readSriov(offset: number, size: number): number {
    return this.pf.configRead(SRIOV + offset, size);
  }

  writeSriov(offset: number, size: number, value: number): void {
    this.pf.configWrite(SRIOV + offset, size, value);
  }

  private makeVf(seat: VirtualSeat): PciFunction {
    const name = `vf${seat.index}`;
    this.seats[seat.index] = seat;
    return new PciFunction(
      {
        ...IDS,
        deviceId: 0,
        virtual: seat,
        bars: [
          {
            index: 0,
            space: 'memory64',
            size: VF_BAR_SIZE,
            prefetchable: true,
            regions: [this.region(name, REGISTERS)],
          },
          { index: 3, space: 'memory32', size: 0x1000, regions: [] },
        ],
        capabilities: [
          msix({ vectors: 2, table: { bar: 3, offset: 0 }, pba: { bar: 3, offset: 0x800 } }),
          pciExpress({ isVirtual: true }),
          alternativeRoutingId(0),
        ],
      },
      {
        sendMessage: (low, _high, data) => this.log.push(`${name} message ${low.toString(16)}=${data.toString(16)}`),
        setIntx: () => this.log.push(`${name} pin`),
      },
      {
        reset: (kind) => this.log.push(`${name} reset ${kind}`),
        masterChanged: (allowed) => this.log.push(`${name} master ${allowed}`),
        removed: () => this.log.push(`${name} removed`),
      },
    );
  }

  private region(name: string, offset: number) {
    const bytes = new Uint8Array(0x100);
    this.registers.set(name, bytes);
    return {
      offset,
      size: bytes.length,
      read: (at: number, size: number): number =>
        bytes.slice(at, at + size).reduceRight((sum, byte) => sum * 256 + byte, 0),
      write: (at: number, size: number, value: number): void => {
        for (let i = 0; i < size; i++) bytes[at + i] = value >>> (i * 8);
      },
    };
  }
}
