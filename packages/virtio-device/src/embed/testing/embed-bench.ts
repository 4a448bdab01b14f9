import { HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { plainHeader } from '../../net/testing/frames.js';
import { COMMON, type Structure } from '../../testing/pci-face.js';
import { EmbeddedNic, type EmbeddedNicOptions, type EmbeddingHost } from '../embedded-nic.js';

const RAM = 0x4_0000;
const SIZE = 16;
const BASE = 0x1000;
const BUFFER_BYTES = 0x800;
/** Where buffers of each queue begin; rings lie below. */
const BUFFERS = [0x1_0000, 0x2_0000] as const;
const BAR_ADDRESS = { memory: 0xfe00_0000, io: 0xc000, messages: 0xfe10_0000 } as const;
export const MAC: Uint8Array = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);

/** An emulator with one guest, whose driver is the test: memory as WebAssembly's, which grows. */
export class EmbedBench implements EmbeddingHost {
  wasm: WebAssembly.Memory = new WebAssembly.Memory({ initial: 8 });
  readonly base: number = BASE;
  readonly size: number = RAM;
  readonly holes: readonly { address: number; size: number }[] = [{ address: 0xa000, size: 0x2000 }];
  readonly irq: boolean[] = [];
  readonly messages: (readonly [address: number, data: number])[] = [];
  readonly moved: (readonly [bar: number, address: number])[] = [];
  readonly sent: Uint8Array[] = [];
  readonly written: (readonly [address: number, length: number])[] = [];
  rooms = 0;
  nic: EmbeddedNic;
  private readonly features: Uint32Array;
  private readonly memory: HostMemory;
  private readonly queues: DriverQueue[] = [];
  private readonly used = new UsedBurst(SIZE);
  private readonly posted = [0, 0];

  constructor(features: readonly number[] = [], options: Partial<EmbeddedNicOptions> = {}) {
    this.features = featureWords([VIRTIO_F.VERSION_1, ...features]);
    this.memory = HostMemory.wrap(this.getBuffer(), BASE, RAM);
    this.nic = this.plugIn(options);
  }

  plugIn(options: Partial<EmbeddedNicOptions>): EmbeddedNic {
    const { host = this } = options;
    return new EmbeddedNic({ memory: this, mac: MAC, rxQueueSize: SIZE, txQueueSize: SIZE, ...options, host });
  }

  getBuffer(): ArrayBuffer {
    return this.wasm.buffer as ArrayBuffer;
  }

  onWrite(address: number, length: number): void {
    this.written.push([address, length]);
  }

  setIrq(level: boolean): void {
    this.irq.push(level);
  }

  msi(address: number, data: number): void {
    this.messages.push([address, data]);
  }

  barMoved(bar: number, address: number): void {
    this.moved.push([bar, address]);
  }

  transmit(frame: Uint8Array): void {
    this.sent.push(frame);
  }

  room(): void {
    this.rooms++;
  }

  /** As an emulator does at any time: what anybody kept of the buffer is detached. */
  grow(): void {
    this.wasm.grow(1);
    this.memory.rewrap(this.wasm.buffer, BASE);
    // A driver in the guest notices nothing: ours is told to look again.
    for (const queue of this.queues) Object.assign(queue, { u16: this.memory.u16, u32: this.memory.u32 });
  }

  /** BARs, memory and bus mastering; features; queues; DRIVER_OK. @param messages MSI-X, of a vector per queue */
  start({ io = false, messages = false }: { io?: boolean; messages?: boolean } = {}): this {
    const { nic } = this;
    nic.configWrite(0x10, 4, io ? BAR_ADDRESS.io : BAR_ADDRESS.memory);
    if (io && messages) nic.configWrite(0x20, 4, BAR_ADDRESS.messages);
    nic.configWrite(0x04, 2, 7);
    if (messages) this.setUpMessages();
    for (const status of [1, 3]) this.common('deviceStatus', 1, status);
    for (const [word, bits] of this.features.entries()) {
      this.common('driverFeatureSelect', 4, word);
      this.common('driverFeature', 4, bits);
    }
    this.common('deviceStatus', 1, 11);
    for (const index of [0, 1]) this.openQueue(index, messages);
    this.common('deviceStatus', 1, 15);
    return this;
  }

  status(): number {
    return this.readCommon('deviceStatus', 1);
  }

  isr(): number {
    const { bar, offset } = this.structure(3);
    return this.nic.barRead(bar, offset, 1);
  }

  /** The device's address as a driver reads it. */
  mac(): Uint8Array {
    const { bar, offset } = this.structure(4);
    return Uint8Array.from({ length: 6 }, (_, at) => this.nic.barRead(bar, offset + at, 1));
  }

  post(count = 1, bytes: number = BUFFER_BYTES): void {
    for (let i = 0; i < count; i++)
      this.queues[0]!.addWritable(BUFFERS[0] + (this.posted[0]!++ % SIZE) * BUFFER_BYTES, bytes);
    this.queues[0]!.publish();
  }

  /** Make a frame available, and say so unless told otherwise. */
  send(frame: Uint8Array, kicks = true): void {
    const at = BUFFERS[1] + (this.posted[1]!++ % SIZE) * BUFFER_BYTES;
    this.memory.u8.set(plainHeader(), at);
    this.memory.u8.set(frame, at + plainHeader().length);
    this.queues[1]!.addReadable(at, plainHeader().length + frame.length);
    this.queues[1]!.publish();
    if (kicks) this.kick(1);
  }

  /** Write to a queue's notification address, as the pieces that an emulator makes of it. */
  kick(queue: number, pieces: readonly number[] = [2]): void {
    const { bar, offset } = this.structure(2);
    let at = offset + 4 * queue;
    for (const bytes of pieces) {
      this.nic.barWrite(bar, at, bytes, 0);
      at += bytes;
    }
  }

  /** Buffers that were used of a queue since it was asked last: bytes written. */
  collect(queue: number): number[] {
    this.used.clear();
    this.queues[queue]!.takeUsed(this.used, SIZE);
    return [...this.used.written.subarray(0, this.used.count)];
  }

  /** The last received frame of so many posted ones. */
  received(index: number, length: number): Uint8Array {
    const at = BUFFERS[0] + index * BUFFER_BYTES + plainHeader().length;
    return this.memory.u8.slice(at, at + length);
  }

  ram(): Uint8Array {
    return this.memory.u8.slice();
  }

  common(field: keyof typeof COMMON, bytes: number, value: number): void {
    const { bar, offset } = this.structure(1);
    this.nic.barWrite(bar, offset + COMMON[field], bytes, value);
  }

  readCommon(field: keyof typeof COMMON, bytes: number): number {
    const { bar, offset } = this.structure(1);
    return this.nic.barRead(bar, offset + COMMON[field], bytes);
  }

  /** A virtio structure, by the capability list. */
  structure(type: number): Pick<Structure, 'bar' | 'offset'> {
    const { nic } = this;
    for (let at = nic.configRead(0x34, 1); at !== 0; at = nic.configRead(at + 1, 1))
      if (nic.configRead(at, 1) === 0x09 && nic.configRead(at + 3, 1) === type)
        return { bar: nic.configRead(at + 4, 1), offset: nic.configRead(at + 8, 4) };
    throw new Error(`there is no structure ${type}`);
  }

  private setUpMessages(): void {
    const { nic } = this;
    let at = nic.configRead(0x34, 1);
    while (nic.configRead(at, 1) !== 0x11) at = nic.configRead(at + 1, 1);
    const table = nic.configRead(at + 4, 4);
    for (let vector = 0; vector < 4; vector++)
      for (const [word, value] of [0xfee0_1000, 0, 0x40 + vector, 0].entries())
        nic.barWrite(table & 7, (table & ~7) + vector * 16 + 4 * word, 4, value);
    nic.configWrite(at + 2, 2, 0x8000);
  }

  private openQueue(index: number, messages: boolean): void {
    const place = { size: SIZE, desc: 0x1000 * (3 * index + 1), driver: 0, device: 0 };
    place.driver = place.desc + 0x1000;
    place.device = place.desc + 0x2000;
    const space = new IdentitySpace(this.memory);
    this.queues[index] = openDriverQueue({ space, ...place, features: this.features });
    this.common('queueSelect', 2, index);
    this.common('queueSize', 2, SIZE);
    this.common('queueDesc', 4, place.desc);
    this.common('queueDriver', 4, place.driver);
    this.common('queueDevice', 4, place.device);
    if (messages) this.common('queueMsixVector', 2, index + 1);
    this.common('queueEnable', 2, 1);
  }
}
