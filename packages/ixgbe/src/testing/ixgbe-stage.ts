import { ESWITCH_AREA_BYTES } from '@ringwire/eswitch';
import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import {
  CTRL_EXT,
  DMATXCTL,
  GCR_EXT,
  PF_REG,
  PF_ROW,
  PFVTCTL,
  RX_QUEUE,
  RXCTRL,
  RXDCTL,
  rowAt,
  SRRCTL,
  TX_QUEUE,
  TXDCTL,
  VF_REG,
  vfRxAt,
  vfTxAt,
} from '@ringwire/nic-spec/ixgbe';
import { enableVfs, type FoundFunction, PciPort, placeBars, RootComplex, scanBuses } from '@ringwire/pci';
import { SriovNic } from '@ringwire/sriov-nic';
import { IxgbeCard } from '../card.js';
import { IXGBE_SCRATCH_BYTES, type IxgbePort } from '../function-options.js';
import { ixgbePhysical, ixgbeSriov, ixgbeVirtual } from '../functions.js';
import { FakePort } from './fake-port.js';

export const PF_ID = 0x0100;
export const FIRST_VF_ID = 0x0180;
/** Where the RAM of every function's guest is, and how much. */
export const RAM = 0x10_0000_0000;
export const RAM_BYTES = 0x8_0000;
/** Places in it. */
export const AT = { rx: 0x0000, tx: 0x1000, buffers: 0x2000, frames: 0x1_0000 } as const;
const FUNCTIONS = 9;
const SCRATCH: number = FUNCTIONS * RAM_BYTES;
const WIRE: number = SCRATCH + FUNCTIONS * Math.ceil(IXGBE_SCRATCH_BYTES / 64) * 64;
/** Where a card's switch may work. */
export const SWITCH: number = WIRE + 0x1_0000;
const BYTES: number = SWITCH + ESWITCH_AREA_BYTES;
export const MAC: Uint8Array = Uint8Array.of(0x00, 0x1b, 0x21, 0, 0, 1);
/** Made once: WebAssembly memories are few. */
const memory = HostMemory.create(Math.ceil(BYTES / 0x1_0000) * 0x1_0000);
const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};
const SPECIFIC_MESSAGE = 0xfee0_0000;

/** One function as its guest has it: registers, RAM, messages that came. */
export class StageFunction {
  readonly number: number;
  /** Vectors of messages, in order. */
  readonly messages: number[] = [];
  private readonly stage: IxgbeStage;
  private readonly base: () => number;

  constructor(stage: IxgbeStage, number: number, base: () => number) {
    this.stage = stage;
    this.number = number;
    this.base = base;
  }

  read(at: number): number {
    return this.stage.machine.memoryRead(this.base() + at, 4);
  }

  write(at: number, value: number): void {
    this.stage.machine.memoryWrite(this.base() + at, 4, value >>> 0);
  }

  /** Host offset of the function's RAM. */
  get host(): number {
    return this.number * RAM_BYTES;
  }

  put(at: number, bytes: Uint8Array): void {
    for (const [i, byte] of bytes.entries()) memory.u8[this.stage.hostOf(this.number, at + i)] = byte;
  }

  get(at: number, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, i) => memory.u8[this.stage.hostOf(this.number, at + i)]!);
  }

  /** All of its RAM, as text that is quick to compare. */
  ram(): string {
    return Buffer.from(memory.u8.slice(this.host, this.host + RAM_BYTES)).toString('latin1');
  }

  words(at: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => memory.u32[this.stage.hostOf(this.number, at + 4 * i) / 4]!);
  }

  putWords(at: number, ...words: number[]): void {
    for (const [i, word] of words.entries()) memory.u32[this.stage.hostOf(this.number, at + 4 * i) / 4] = word;
  }

  takeMessages(): number[] {
    return this.messages.splice(0);
  }
}

/** A virtual function and what a driver does to it. */
export class StageVf extends StageFunction {
  /** Set up a receive queue with a ring of 128-byte multiples, on, and empty. */
  openRx(
    queue = 0,
    srrctl: number = SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 2,
    rxdctl = 0,
    at: number = AT.rx,
    bytes = 128,
  ): void {
    const address = RAM + at;
    this.write(vfRxAt(queue, RX_QUEUE.RDBAL), address % 2 ** 32);
    this.write(vfRxAt(queue, RX_QUEUE.RDBAH), Math.floor(address / 2 ** 32));
    this.write(vfRxAt(queue, RX_QUEUE.RDLEN), bytes);
    this.write(vfRxAt(queue, RX_QUEUE.SRRCTL), srrctl);
    this.write(vfRxAt(queue, RX_QUEUE.RXDCTL), RXDCTL.ENABLE | rxdctl);
  }

  /** Put buffers into descriptors from one on, and move the tail behind them. */
  post(addresses: readonly number[], from = 0, queue = 0, at: number = AT.rx, count = 8): void {
    for (const [i, address] of addresses.entries())
      this.putWords(at + ((from + i) % count) * 16, address % 2 ** 32, Math.floor(address / 2 ** 32), 0, 0);
    this.write(vfRxAt(queue, RX_QUEUE.RDT), (from + addresses.length) % count);
  }

  openTx(queue = 0, at: number = AT.tx, bytes = 256): void {
    const address = RAM + at;
    this.write(vfTxAt(queue, TX_QUEUE.TDBAL), address % 2 ** 32);
    this.write(vfTxAt(queue, TX_QUEUE.TDBAH), Math.floor(address / 2 ** 32));
    this.write(vfTxAt(queue, TX_QUEUE.TDLEN), bytes);
    this.write(vfTxAt(queue, TX_QUEUE.TXDCTL), TXDCTL.ENABLE);
  }

  /** Vector 0 for the first pair's receive queue, 1 for its transmit queue, 2 for the mailbox: enabled, cleared by messages. */
  openInterrupts(): void {
    this.write(VF_REG.VTIVAR, 0x8180_8180);
    this.write(VF_REG.VTIVAR_MISC, 0x82);
    this.write(VF_REG.VTEIAC, 7);
    this.write(VF_REG.VTEIMS, 7);
  }
}

/** A card in a machine: its physical function, and virtual ones with a guest's RAM of their own each. */
export class IxgbeStage {
  readonly memory: HostMemory = memory;
  readonly machine: RootComplex = new RootComplex();
  readonly nic: SriovNic;
  readonly card: IxgbeCard;
  readonly ports: FakePort[] = [];
  readonly pf: StageFunction;
  readonly vfs: StageVf[] = [];
  readonly found: FoundFunction;
  /** The virtual functions, as the machine's software found them. */
  foundVfs: readonly FoundFunction[] = [];
  /** The port that the next function is given, in place of a new one. */
  portAgain: FakePort | undefined;
  /** In µs. */
  now = 0;
  wakes = 0;

  private readonly isSplit: boolean;

  /**
   * @param portOf another port for a function, by its number: 0 is the physical one's
   * @param isSplit the halves of RAM are the other way round on the host: what lies across their border is two ranges
   */
  constructor(portOf?: (number: number, stage: IxgbeStage) => IxgbePort, isSplit = false) {
    this.isSplit = isSplit;
    memory.u8.fill(0);
    this.card = new IxgbeCard({ memory, mac: MAC, now: () => this.now, wake: () => this.wakes++ });
    const { card } = this;
    const optionsOf = (number: number) => {
      const fake = this.portAgain ?? new FakePort(memory, WIRE);
      this.portAgain = undefined;
      this.ports[number] = fake;
      const scratch = SCRATCH + number * Math.ceil(IXGBE_SCRATCH_BYTES / 64) * 64;
      return { card, scratch, port: portOf?.(number, this) ?? fake };
    };
    const numberOf = (id: number): number => (id === PF_ID ? 0 : 1 + (id - FIRST_VF_ID) / 2);
    this.nic = new SriovNic({
      ...ixgbeSriov(8),
      physicalId: PF_ID,
      physical: (place) => ixgbePhysical(place, optionsOf(0)),
      virtual: (place) => ixgbeVirtual(place, optionsOf(1 + place.seat.index)),
      openSpace: (id) => {
        const [size, number] = [RAM_BYTES / 2, numberOf(id)];
        const regions = [0, size].map((at) => ({ gpa: RAM + at, size, host: this.hostOf(number, at) }));
        return Object.assign(new GuestMemory(memory, regions), { close: () => {} });
      },
      sendMessage: (id, _low, _high, _data, vector) => this.functionAt(numberOf(id)).messages.push(vector),
    });
    const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
    this.machine.bus.plug(8, port);
    port.secondary.plug(0, this.nic);
    const found = scanBuses(this.machine);
    placeBars(this.machine, found, RANGES);
    this.found = found[1]!;
    this.machine.configWrite(PF_ID, 4, 2, 6);
    this.pf = new StageFunction(this, 0, () => this.nic.pci.barAddress(0));
    this.openMessages(PF_ID, this.nic.pci.barAddress(4), 64);
  }

  /** Host offset of a byte of a function's RAM. */
  hostOf(number: number, at: number): number {
    return number * RAM_BYTES + (this.isSplit ? (at + RAM_BYTES / 2) % RAM_BYTES : at);
  }

  functionAt(number: number): StageFunction {
    return number === 0 ? this.pf : this.vfs[number - 1]!;
  }

  /** VF Enable with so many functions, which then may master the bus and have their messages. */
  enable(count: number): void {
    const functions = enableVfs(this.machine, this.found, count);
    this.foundVfs = functions;
    for (const [i, { routingId, bars }] of functions.entries()) {
      const base = bars[0]!.address;
      this.vfs[i] = new StageVf(this, 1 + i, () => base);
      this.machine.configWrite(routingId, 4, 2, 4);
      this.openMessages(routingId, bars.find(({ index }) => index === 3)!.address, 3);
    }
  }

  /** What a driver of the physical function does for virtual ones: 2, 4 or 8 queues to a pool, all may send and receive. */
  openPools(queues: 2 | 4 | 8 = 2): void {
    const { pf } = this;
    const mode = queues === 2 ? GCR_EXT.VT_MODE_64 : queues === 4 ? GCR_EXT.VT_MODE_32 : GCR_EXT.VT_MODE_16;
    pf.write(PF_REG.GCR_EXT, mode);
    // Pool 8 is the physical function's own.
    pf.write(PF_REG.PFVTCTL, PFVTCTL.VT_ENA | PFVTCTL.RPL_EN | (8 << PFVTCTL.DEF_PL_SHIFT));
    pf.write(PF_REG.RXCTRL, RXCTRL.RXEN);
    pf.write(PF_REG.DMATXCTL, DMATXCTL.TE);
    pf.write(rowAt(PF_ROW.PFVFRE, 0), 0x1ff);
    pf.write(rowAt(PF_ROW.PFVFTE, 0), 0x1ff);
    pf.write(PF_REG.CTRL_EXT, CTRL_EXT.PFRSTD);
    for (const vf of this.vfs) vf.read(VF_REG.VFMAILBOX);
  }

  step(budget = 64): number {
    return this.nic.step(budget);
  }

  /** What every byte of RAM and every register with state of a function is: to see that nothing of it changes. */
  snapshotOf({ number }: StageVf): string {
    const vf = this.vfs[number - 1]!;
    const registers: string[] = [];
    for (let at = 0; at < 0x2400; at += 4) {
      // Reading these two changes them.
      if (at !== VF_REG.VTEICR && at !== VF_REG.VFMAILBOX)
        registers.push(`${at.toString(16)}=${vf.read(at).toString(16)}`);
    }
    const ram = vf.ram();
    return JSON.stringify(
      { registers, ram, counts: this.nic.personalityOf(number - 1), messages: vf.messages },
      (key, value) => (key === 'counts' ? (value as { statistics: unknown }).statistics : value),
    );
  }

  private openMessages(routingId: number, table: number, vectors: number): void {
    for (let vector = 0; vector < vectors; vector++) {
      this.machine.memoryWrite(table + vector * 16, 4, SPECIFIC_MESSAGE);
      this.machine.memoryWrite(table + vector * 16 + 4, 4, 0);
      this.machine.memoryWrite(table + vector * 16 + 8, 4, vector);
      this.machine.memoryWrite(table + vector * 16 + 12, 4, 0);
    }
    const pci = this.machine.functionAt(routingId)!;
    this.machine.configWrite(routingId, pci.capabilityAt(0x11) + 2, 2, 0x8000);
  }
}

/** A frame with a number behind its header. */
export function frameOf(length: number, number = 0): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => (i * 7 + number * 13 + 1) & 0xff);
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5].slice(0, length));
  return frame;
}
