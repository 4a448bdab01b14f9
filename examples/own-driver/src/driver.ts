import type { DriverRefusal, GuestDriver, GuestMachine } from '@ringwire/certify';
import { SplitQueue } from './split-queue.js';

/** virtio 1.4 §2.1, §5.1.3, §6: what this driver knows of either. */
const STATUS = { ACKNOWLEDGE: 1, DRIVER: 2, DRIVER_OK: 4, FEATURES_OK: 8, NEEDS_RESET: 64, FAILED: 128 } as const;
const FEATURE = {
  MTU: 3,
  MAC: 5,
  STATUS: 16,
  EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  ORDER_PLATFORM: 36,
} as const;
/** virtio 1.4 §5.1.4: offsets of fields. */
const CONFIG = { mac: 0, status: 6, mtu: 10 } as const;
const WORDS = [0, 1, 2, 3];
const [RX, TX] = [0, 1];
const QUEUE_SIZE = 64;
const HEADER_BYTES = 12;
const ETHERNET_BYTES = 14;
const PLAIN_MTU = 1500;
const TRIES = 1000;
const TO_READ_AND_WRITE = 3;

export const name = 'own driver';

/** What certification, or a machine, calls. */
export function openDriver(machine: GuestMachine): GuestDriver | DriverRefusal {
  const driver = new OwnDriver(machine);
  const refused = driver.bringUp();
  return refused === undefined ? driver : { refused };
}

/** A network driver in the plainest way: split rings, one descriptor for each frame, no offloads. */
class OwnDriver implements GuestDriver {
  readonly mac: Uint8Array = Uint8Array.of(2, 0x0d, 0xde, 0xed, 0, 1);
  isLinkUp = true;
  isBroken = false;
  private readonly machine: GuestMachine;
  private readonly features: Set<number> = new Set();
  private status = 0;
  private mtu = PLAIN_MTU;
  private queues: SplitQueue[] = [];
  /** Addresses of everything that was allocated, of receive buffers by head, and of transmit buffers without a frame. */
  private readonly held: number[] = [];
  private readonly filled: Map<number, number> = new Map();
  private readonly sending: Map<number, number> = new Map();
  private readonly spare: number[] = [];

  constructor(machine: GuestMachine) {
    this.machine = machine;
  }

  /** virtio 1.4 §3.1.1. @returns why the device cannot be used */
  bringUp(): string | undefined {
    const { transport } = this.machine;
    if (!this.reset()) return 'the device does not reset';
    this.set(STATUS.ACKNOWLEDGE);
    this.set(STATUS.DRIVER);
    const offered = WORDS.map((word) => transport.deviceFeatures(word));
    for (const bit of Object.values(FEATURE))
      if (((offered[bit >>> 5]! >>> (bit & 31)) & 1) === 1) this.features.add(bit);
    const words = Uint32Array.from(WORDS, (word) => this.acceptedWord(word));
    for (const word of WORDS) transport.setDriverFeatures(word, words[word]!);
    this.set(STATUS.FEATURES_OK);
    if (!this.features.has(FEATURE.VERSION_1) || (transport.status() & STATUS.FEATURES_OK) === 0) {
      this.set(STATUS.FAILED);
      return 'the device does not agree on features';
    }
    this.readConfig();
    for (const index of [RX, TX]) {
      const size = Math.min(QUEUE_SIZE, transport.queueSizeMax(index));
      const queue = new SplitQueue(this.machine, size, this.features.has(FEATURE.EVENT_IDX));
      this.held.push(queue.desc);
      this.queues[index] = queue;
      transport.enableQueue(index, queue, words);
    }
    for (let left = this.queues[RX]!.size; left > 0; left--) this.fill(this.allocate());
    for (let left = this.queues[TX]!.size; left > 0; left--) this.spare.push(this.allocate());
    this.set(STATUS.DRIVER_OK);
    this.notify(RX);
    return undefined;
  }

  transmit(frame: Uint8Array): boolean {
    const tx = this.queues[TX];
    if (this.isBroken || tx === undefined || tx.room === 0 || frame.length > this.mtu + ETHERNET_BYTES) return false;
    const address = this.spare.pop();
    if (address === undefined) return false;
    const { u8 } = this.machine.dma.space.memory;
    const at = this.find(address);
    u8.fill(0, at, at + HEADER_BYTES);
    u8.set(frame, at + HEADER_BYTES);
    this.sending.set(tx.add([{ address, length: HEADER_BYTES + frame.length }], false), address);
    this.notify(TX);
    return true;
  }

  /** There is one line: reading the cause acknowledges it, and `poll` looks at everything. */
  interrupt(): void {
    this.machine.transport.interruptCause();
  }

  poll(): boolean {
    if (this.isBroken) return false;
    const { dma } = this.machine;
    let done = 0;
    for (let used = this.queues[TX]!.take(); used !== undefined; used = this.queues[TX]!.take(), done++) {
      this.spare.push(this.sending.get(used.head)!);
      this.sending.delete(used.head);
    }
    for (let used = this.queues[RX]!.take(); used !== undefined; used = this.queues[RX]!.take(), done++) {
      const address = this.filled.get(used.head)!;
      this.filled.delete(used.head);
      const at = this.find(address);
      // Nothing behind `length` is the device's word, and no length is true that the buffer does not have.
      if (used.length > HEADER_BYTES && used.length <= this.bufferBytes)
        this.machine.receive(dma.space.memory.u8.subarray(at + HEADER_BYTES, at + used.length));
      this.fill(address);
    }
    this.notify(RX);
    return done > 0;
  }

  watch(): void {
    if (this.isBroken) return;
    if ((this.machine.transport.status() & STATUS.NEEDS_RESET) !== 0) {
      this.stop();
      this.isBroken = this.bringUp() !== undefined;
    } else if (this.features.has(FEATURE.STATUS))
      this.isLinkUp = (this.machine.transport.readConfig(CONFIG.status, 2) & 1) === 1;
  }

  stop(): void {
    // Memory of a device that does not reset is never used again.
    if (!this.reset()) return;
    for (const address of this.held.splice(0)) this.machine.dma.free(address);
  }

  private reset(): boolean {
    const { machine } = this;
    machine.transport.setStatus(0);
    this.status = 0;
    this.features.clear();
    this.queues = [];
    this.filled.clear();
    this.sending.clear();
    this.spare.length = 0;
    for (let left = TRIES; left > 0; left--) {
      if (machine.transport.status() === 0) return true;
      machine.pause();
    }
    return false;
  }

  private set(bit: number): void {
    this.status |= bit;
    this.machine.transport.setStatus(this.status);
  }

  /** Fields of one generation. virtio 1.4 §2.5.1 */
  private readConfig(): void {
    const { transport } = this.machine;
    for (let left = TRIES; left > 0; left--) {
      const generation = transport.configGeneration();
      if (this.features.has(FEATURE.MAC))
        for (let i = 0; i < this.mac.length; i++) this.mac[i] = transport.readConfig(CONFIG.mac + i, 1);
      this.mtu = this.features.has(FEATURE.MTU) ? transport.readConfig(CONFIG.mtu, 2) : PLAIN_MTU;
      if (transport.configGeneration() === generation) return;
    }
  }

  private get bufferBytes(): number {
    return HEADER_BYTES + ETHERNET_BYTES + Math.max(this.mtu, PLAIN_MTU);
  }

  private allocate(): number {
    const address = this.machine.dma.allocate(this.bufferBytes);
    this.held.push(address);
    return address;
  }

  private fill(address: number): void {
    this.filled.set(this.queues[RX]!.add([{ address, length: this.bufferBytes }], true), address);
  }

  private notify(index: number): void {
    if (this.queues[index]!.isAwaited()) this.machine.transport.notify(index, 0);
  }

  private find(address: number): number {
    return this.machine.dma.space.resolve(address, this.bufferBytes, TO_READ_AND_WRITE);
  }

  private acceptedWord(word: number): number {
    let bits = 0;
    for (const bit of this.features) if (bit >>> 5 === word) bits |= 1 << (bit & 31);
    return bits >>> 0;
  }
}
