import type { GuestDriver, GuestMachine, OpenDriver } from '../driver-module.js';
import type { Bug } from './bugs.js';
import { type Piece, PlainPacked, type PlainRing, PlainSplit } from './plain-ring.js';

const STATUS = { SUSPEND: 16, ACKNOWLEDGE: 1, DRIVER: 2, DRIVER_OK: 4, FEATURES_OK: 8, NEEDS_RESET: 64, FAILED: 128 };
const F = {
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  MRG_RXBUF: 15,
  STATUS: 16,
  EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  PACKED: 34,
  ORDER_PLATFORM: 36,
  NOTIFICATION_DATA: 38,
  NOTIF_CONFIG_DATA: 39,
  RING_RESET: 40,
  SUSPEND: 43,
};
const KNOWN = [
  F.MTU,
  F.MAC,
  F.MRG_RXBUF,
  F.STATUS,
  F.EVENT_IDX,
  F.VERSION_1,
  F.ACCESS_PLATFORM,
  F.PACKED,
  F.ORDER_PLATFORM,
  F.NOTIF_CONFIG_DATA,
  F.RING_RESET,
  F.SUSPEND,
];
const UNDEFINED_BIT = 47;
const RX_BYTES = 2048;
const LONG_RX_BYTES = 9216;
const SIZE = 32;
const RW = 3;

/** Makes a driver with a bug in it, or without. */
export const plainDriver =
  (bug?: Bug): OpenDriver =>
  (machine) => {
    const driver = new PlainDriver(machine, bug);
    const refused = driver.open();
    return refused === undefined ? driver : { refused };
  };

/**
 * A small driver that shares no code with those of this project, but for the transport: what certification finds it finds in
 * somebody else's driver. With a bug it does one thing wrong.
 */
class PlainDriver implements GuestDriver {
  mac: Uint8Array = new Uint8Array(6);
  isLinkUp = true;
  isBroken = false;
  private readonly machine: GuestMachine;
  private readonly bug: Bug | undefined;
  private readonly held: number[] = [];
  private readonly buffers: Map<number, { address: number; bytes: number }>[] = [new Map(), new Map()];
  private readonly spare: number[] = [];
  private rings: PlainRing[] = [];
  private bits = 0;
  private accepted = new Set<number>();
  private rxBytes = RX_BYTES;
  private mtu = 0;
  private partial: { left: number; pieces: Uint8Array[] } | undefined;

  constructor(machine: GuestMachine, bug: Bug | undefined) {
    this.machine = machine;
    this.bug = bug;
  }

  open(): string | undefined {
    const { bug, machine } = this;
    const { transport } = machine;
    if (bug !== 'does not reset first') this.reset();
    this.set(STATUS.ACKNOWLEDGE);
    this.set(STATUS.DRIVER);
    if (bug === 'takes a status bit back') {
      transport.setStatus(STATUS.DRIVER);
      transport.setStatus(this.bits);
    }
    const offered = new Set([0, 1, 2, 3].flatMap((word) => bitsOf(transport.deviceFeatures(word), word)));
    this.accepted = new Set(KNOWN.filter((bit) => offered.has(bit)));
    if (bug === 'accepts what is not offered') this.accepted.add(F.NOTIFICATION_DATA).add(58);
    if (bug === 'accepts what is not defined' && offered.has(UNDEFINED_BIT)) this.accepted.add(UNDEFINED_BIT);
    if (bug === 'accepts without what it needs' && offered.has(F.GUEST_TSO4)) this.accepted.add(F.GUEST_TSO4);
    if (bug === 'writes the configuration') machine.pci?.barWrite(0, configAt(machine), 1, 2);
    for (const word of [0, 1, 2, 3]) transport.setDriverFeatures(word, wordOf(this.accepted, word));
    this.set(STATUS.FEATURES_OK);
    if (bug !== 'does not read FEATURES_OK back') {
      const refused = (transport.status() & STATUS.FEATURES_OK) === 0;
      if (refused && bug !== 'goes on without FEATURES_OK') {
        this.set(STATUS.FAILED);
        return 'FEATURES_OK did not stick';
      }
    }
    if (bug === 'DRIVER_OK before queues') this.set(STATUS.DRIVER_OK);
    this.readConfig();
    this.openQueues();
    if (bug === 'notifies before DRIVER_OK') transport.notify(0, 0);
    this.set(STATUS.DRIVER_OK);
    this.notify(0);
    return undefined;
  }

  transmit(frame: Uint8Array): boolean {
    const { bug, rings } = this;
    if (this.isBroken) return false;
    if (this.mtu > 0 && frame.length > this.mtu + 14 && bug !== 'ignores mtu') return false;
    if (rings[1]!.free < 2 || this.spare.length === 0) return false;
    const buffer = this.spare.pop()!;
    const header = this.headerBytes;
    const at = this.host(buffer);
    const { u8 } = this.machine.dma.space.memory;
    u8.fill(0, at, at + header);
    if (bug === 'num_buffers in a sent header') u8[at + 10] = 1;
    if (bug === 'segmentation that is not negotiated') u8[at + 1] = 1;
    if (bug === 'flags without CSUM') u8[at] = 1;
    u8.set(frame, at + 64);
    const off = bug === 'addresses that are not the device’s' ? 0x1000_0000 : 0;
    const pieces: Piece[] = [
      { address: buffer + off, length: header, writable: false },
      { address: buffer + 64 + off, length: frame.length, writable: false },
    ];
    const id = rings[1]!.add(pieces);
    this.buffers[1]!.set(id, { address: buffer, bytes: 0 });
    this.notify(1);
    return true;
  }

  interrupt(): void {
    const { transport } = this.machine;
    if (this.bug === 'throws') throw new TypeError('frame is undefined');
    if (this.bug === 'does not acknowledge interrupts') return;
    // There is one line: vectors are not asked for.
    transport.interruptCause();
  }

  poll(): boolean {
    if (this.isBroken) return false;
    let done = 0;
    for (let used = this.rings[1]!.take(); used !== undefined; used = this.rings[1]!.take()) {
      if (!this.giveBack(used.id)) return false;
      done++;
    }
    for (let used = this.rings[0]!.take(); used !== undefined; used = this.rings[0]!.take()) {
      if (!this.takeFrame(used.id, used.length)) return false;
      done++;
    }
    if (done > 0) this.notify(0);
    return done > 0;
  }

  watch(): void {
    const { transport } = this.machine;
    if (this.bug === 'waits for ever') for (;;) this.machine.pause();
    if (this.isBroken || this.bug === 'ignores DEVICE_NEEDS_RESET') return;
    if ((transport.status() & STATUS.NEEDS_RESET) !== 0) {
      this.end();
      this.open();
      return;
    }
    if (this.accepted.has(F.STATUS)) this.isLinkUp = (transport.readConfig(6, 2) & 1) === 1;
  }

  suspend(): void {
    const { bug, machine } = this;
    machine.transport.setStatus(this.bits | STATUS.SUSPEND);
    if (bug !== 'does not wait until it is suspended') this.await(STATUS.SUSPEND);
    if (bug === 'sends while suspended') {
      this.transmit(new Uint8Array(60));
      machine.transport.notify(1, 0);
    }
  }

  resume(): void {
    this.machine.transport.setStatus(this.bits);
    if (this.bug !== 'does not wait until it is resumed') this.await(STATUS.DRIVER_OK);
  }

  restart(): void {
    const { transport } = this.machine;
    for (const index of [0, 1]) {
      transport.resetQueue(index);
      for (let tries = 0; this.bug !== 'does not wait for a queue’s reset' && tries < 100; tries++)
        if (transport.queueResetDone(index)) break;
        else this.machine.pause();
    }
    for (const map of this.buffers) map.clear();
    this.spare.length = 0;
    this.openQueues();
    this.notify(0);
  }

  /** @param bit the one of SUSPEND and DRIVER_OK that is to be set, alone */
  private await(bit: number): void {
    const { transport } = this.machine;
    for (let tries = 0; tries < 100; tries++) {
      if ((transport.status() & (STATUS.SUSPEND | STATUS.DRIVER_OK)) === bit) return;
      this.machine.pause();
    }
  }

  stop(): void {
    this.end();
    if (this.bug === 'notifies after the reset') this.machine.transport.notify(1, 0);
  }

  private end(): void {
    if (this.bug === 'frees memory before the reset') this.freeAll();
    if (this.bug !== 'stops without a reset') this.reset();
    this.freeAll();
  }

  private freeAll(): void {
    for (const address of this.held.splice(0)) this.machine.dma.free(address);
  }

  private reset(): void {
    const { machine, bug } = this;
    machine.transport.setStatus(0);
    this.bits = 0;
    for (let tries = 0; bug !== 'does not wait for the reset' && tries < 100; tries++) {
      if (machine.transport.status() === 0) break;
      machine.pause();
    }
    this.rings = [];
    this.partial = undefined;
    for (const map of this.buffers) map.clear();
    this.spare.length = 0;
  }

  private set(bit: number): void {
    this.bits |= bit;
    this.machine.transport.setStatus(this.bits);
  }

  private readConfig(): void {
    const { transport } = this.machine;
    const { bug } = this;
    if (this.accepted.has(F.MAC) || bug === 'reads a field that is not there') {
      for (let tries = 0; tries < 10; tries++) {
        const generation = transport.configGeneration();
        for (let i = 0; i < 6; i++) this.mac[i] = transport.readConfig(i, 1);
        if (transport.configGeneration() === generation || bug === 'reads the address in pieces') break;
      }
    } else this.mac = Uint8Array.of(2, 9, 9, 9, 9, 9);
    this.mtu = this.accepted.has(F.MTU) ? transport.readConfig(10, 2) : 0;
    const needsLong = this.mtu > 1500 && !this.accepted.has(F.MRG_RXBUF);
    this.rxBytes = needsLong ? LONG_RX_BYTES : bug === 'small receive buffers' ? 512 : RX_BYTES;
  }

  private openQueues(): void {
    const { machine, bug } = this;
    const { transport, dma } = machine;
    const isPacked = this.accepted.has(F.PACKED);
    const Ring = isPacked ? PlainPacked : PlainSplit;
    const features = Uint32Array.from([0, 1, 2, 3], (word) => wordOf(this.accepted, word));
    for (const index of [0, 1]) {
      const size = Math.min(SIZE, transport.queueSizeMax(index));
      const base = this.allocate(Ring.bytes(size));
      dma.space.memory.u8.fill(0, this.host(base), this.host(base) + Ring.bytes(size));
      const ring = new Ring(dma.space, base, size, this.accepted.has(F.EVENT_IDX), bug);
      this.rings[index] = ring;
      transport.enableQueue(index, { size, desc: ring.desc, driver: ring.driver, device: ring.device }, features);
    }
    for (let i = 0; i < SIZE; i++) this.fill(this.allocate(this.rxBytes));
    for (let i = 0; i < SIZE / 2; i++) this.spare.push(this.allocate(LONG_RX_BYTES));
  }

  private allocate(bytes: number): number {
    const address = this.machine.dma.allocate(bytes);
    this.held.push(address);
    return address;
  }

  private fill(address: number): void {
    const id = this.rings[0]!.add([{ address, length: this.rxBytes, writable: true }]);
    if (id >= 0) this.buffers[0]!.set(id, { address, bytes: this.rxBytes });
  }

  private giveBack(id: number): boolean {
    const buffer = this.buffers[1]!.get(id);
    if (buffer === undefined) return this.giveUp();
    this.buffers[1]!.delete(id);
    this.spare.push(buffer.address);
    return true;
  }

  private takeFrame(id: number, length: number): boolean {
    const { bug } = this;
    const buffer = this.buffers[0]!.get(id);
    if (buffer === undefined || length > buffer.bytes || length < this.headerBytes) return this.giveUp();
    this.buffers[0]!.delete(id);
    const { u8 } = this.machine.dma.space.memory;
    const at = this.host(buffer.address);
    const header = this.partial === undefined ? this.headerBytes : 0;
    const bytes = bug === 'believes buffers beyond their length' ? 200 + header : length;
    const piece = u8.slice(at + header, at + bytes);
    const isUnknown = header > 0 && (u8[at]! & 0x80) !== 0;
    if (bug !== 'drops frames with unknown flags' || !isUnknown) {
      const merges = this.accepted.has(F.MRG_RXBUF) && bug !== 'ignores num_buffers';
      const left = this.partial?.left ?? (merges ? u8[at + 10]! | (u8[at + 11]! << 8) : 1);
      const pieces = [...(this.partial?.pieces ?? []), piece];
      if (left > 1) this.partial = { left: left - 1, pieces };
      else {
        this.partial = undefined;
        this.machine.receive(joined(pieces));
      }
    }
    this.fill(buffer.address);
    return true;
  }

  private giveUp(): false {
    this.isBroken = true;
    this.reset();
    return false;
  }

  private notify(index: number): void {
    const wants = this.rings[index]!.wants();
    if (this.bug === 'never notifies') return;
    if (wants || this.bug === 'always notifies') this.machine.transport.notify(index, 0);
  }

  private get headerBytes(): number {
    return this.bug === 'short header' ? 10 : 12;
  }

  private host(address: number): number {
    return this.machine.dma.space.resolve(address, 64, RW);
  }
}

const bitsOf = (bits: number, word: number): number[] =>
  Array.from({ length: 32 }, (_, bit) => bit).flatMap((bit) => (((bits >>> bit) & 1) === 1 ? [word * 32 + bit] : []));

const wordOf = (bits: ReadonlySet<number>, word: number): number =>
  [...bits].reduce((sum, bit) => (bit >>> 5 === word ? sum | (1 << (bit & 31)) : sum), 0) >>> 0;

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Where the device's configuration is in its first BAR, by the capability. */
function configAt({ pci }: GuestMachine): number {
  let at = pci!.configRead(0x34, 1);
  while (at !== 0 && (pci!.configRead(at, 1) !== 9 || pci!.configRead(at + 3, 1) !== 4))
    at = pci!.configRead(at + 1, 1);
  return pci!.configRead(at + 8, 4);
}
