import { readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { addressOf, close, connectUnix, mapFileAt, newEvent, newMemoryFile, signalEvent } from '@ringwire/linux';
import { featuresFromBigInt } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { joined, longs, RawPeer, words } from './raw-peer.js';

const RAM = { gpa: 0x10_0000, userspace: 0x7f00_0000_0000, size: 0x10_0000 } as const;
const SIZE = 64;
const BUFFERS = 0x2_0000;
const BUFFER_BYTES = 0x800;
const FRAME_BYTES = 72;
/** Offsets of a ring's parts in RAM; ring 1 lies 0x8000 higher. */
const RING = { desc: 0x1000, driver: 0x3000, device: 0x5000, NEXT: 0x8000 } as const;
/** REPLY_ACK and INFLIGHT_SHMFD. */
const PROTOCOL = (1n << 3n) | (1n << 12n);

/** A front-end with memory, rings and frames of its own, which goes on with them over one connection after the other. */
export class FrontEnd {
  peer: RawPeer | undefined;
  readonly file: number = newMemoryFile('front-end', RAM.size);
  readonly rx: DriverQueue;
  readonly tx: DriverQueue;
  /** Buffers that came back used, of each ring, and those that are out. */
  readonly used: [rx: number, tx: number] = [0, 0];
  readonly out: readonly [rx: Set<number>, tx: Set<number>] = [new Set(), new Set()];
  private readonly features: bigint;
  private readonly guest: GuestMemory;
  private readonly kicks = [newEvent(), newEvent()];
  private readonly burst = new UsedBurst(SIZE);
  private area: { readonly payload: Uint8Array; readonly file: number } | undefined;

  constructor(features: bigint) {
    this.features = features;
    const memory = HostMemory.create(RAM.size);
    mapFileAt(addressOf(memory.u8), RAM.size, this.file, 0);
    this.guest = new GuestMemory(memory, [{ gpa: RAM.gpa, size: RAM.size, host: 0 }]);
    [this.rx, this.tx] = [this.openDriver(0), this.openDriver(1)];
    // Broadcast, so that a switch floods it; behind 12 bytes of header that ask for nothing.
    const frame = joined(new Uint8Array(12), new Uint8Array(6).fill(0xff), new Uint8Array(FRAME_BYTES - 18).fill(2));
    for (let n = 0; n < SIZE; n++) this.guest.write(RAM.gpa + BUFFERS + 0x2_0000 + n * BUFFER_BYTES, frame);
  }

  /** The messages that bring a connection from its beginning to both rings running. */
  steps(tracked: boolean): readonly (() => Promise<unknown>)[] {
    const ring = (index: number): (() => Promise<unknown>)[] => {
      const at = RAM.userspace + index * RING.NEXT;
      const addresses = longs(at + RING.desc, at + RING.device, at + RING.driver, 0);
      return [
        () => this.ack(8, words(index, SIZE)),
        () => this.ack(10, words(index, this.features === PACKED ? 0x8000 : 0)),
        () => this.ack(9, joined(words(index, 0), addresses)),
        () => this.ack(12, longs(index), [this.kicks[index]!]),
        () => this.ack(18, words(index, 1)),
      ];
    };
    return [
      () => this.ask(1, new Uint8Array(0)),
      () => this.ask(15, new Uint8Array(0)),
      () => this.ack(16, longs(PROTOCOL)),
      () => this.ack(2, longs(this.features | (1n << 30n))),
      () => this.ack(5, joined(words(1, 0), longs(RAM.gpa, RAM.size, RAM.userspace, 0)), [this.file]),
      ...(tracked ? [() => this.shareArea()] : []),
      ...ring(0),
      ...ring(1),
    ];
  }

  /** Connect to a back-end, which may not be there yet, or not be done with somebody else. */
  async connect(path: string): Promise<void> {
    for (;;) {
      try {
        this.peer = new RawPeer(connectUnix(path));
        await this.ask(1, new Uint8Array(0));
        return;
      } catch {
        this.disconnect();
        await sleep(5);
      }
    }
  }

  disconnect(): void {
    if (this.peer !== undefined) close(this.peer.socket);
    this.peer = undefined;
  }

  async run(path: string, tracked = false): Promise<void> {
    await this.connect(path);
    for (const step of this.steps(tracked)) await step();
    for (const kick of this.kicks) signalEvent(kick);
  }

  /** Offer what there is room for, and take what came back. */
  turn(): void {
    for (const [index, queue] of [this.rx, this.tx].entries()) {
      const out = this.out[index as 0 | 1];
      while (out.size < SIZE) {
        const at = RAM.gpa + BUFFERS + index * 0x2_0000 + out.size * BUFFER_BYTES;
        const id = index === 0 ? queue.addWritable(at, BUFFER_BYTES) : queue.addReadable(at, FRAME_BYTES);
        if (id < 0) break;
        out.add(id);
      }
      if (queue.publish()) signalEvent(this.kicks[index]!);
      this.collect(index as 0 | 1);
    }
  }

  /** Take what came back: each buffer once, while it is out. */
  collect(index: 0 | 1): void {
    const queue = index === 0 ? this.rx : this.tx;
    this.burst.clear();
    queue.takeUsed(this.burst, SIZE);
    if (queue.broken !== 0) throw new Error(`ring ${index}: the device broke it, ${queue.broken}`);
    for (let i = 0; i < this.burst.count; i++) {
      if (!this.out[index].delete(this.burst.token[i]!))
        throw new Error(`buffer ${this.burst.token[i]} came back twice`);
      this.used[index]++;
    }
  }

  /** Chains that the shared area says are in flight, of both rings. */
  get inFlight(): number {
    // A region's states and the bytes of all of it, for 64 descriptors.
    const [first, each, bytes] = this.features === PACKED ? [32, 32, 2112] : [16, 16, 1088];
    const area = new Uint8Array(2 * bytes);
    readSync(this.area!.file, area, 0, area.length, 0);
    return [0, bytes]
      .flatMap((at) => Array.from({ length: SIZE }, (_, n) => area[at + first + n * each]!))
      .filter((flag) => flag === 1).length;
  }

  end(): void {
    this.disconnect();
    for (const fd of [this.file, ...this.kicks]) close(fd);
    if (this.area !== undefined) close(this.area.file);
  }

  /** Ask, and wait for the answer. @throws Error when the connection ends first */
  private async ask(id: number, payload: Uint8Array, fds: readonly number[] = [], flags = 1): Promise<Uint8Array> {
    const peer = this.peer!;
    peer.send(id, payload, fds, flags);
    for (;;) {
      const received: number[] = [];
      const answer = peer.answer(received);
      if (answer !== undefined) {
        if (received.length > 0) this.area = { payload: answer.payload, file: received[0]! };
        return answer.payload;
      }
      if (peer.hasEnded) throw new Error(`the connection ended before request ${id} was answered`);
      await sleep(0);
    }
  }

  private async ack(id: number, payload: Uint8Array, fds: readonly number[] = []): Promise<void> {
    const [result] = await this.ask(id, payload, fds, 9);
    if (result !== 0) throw new Error(`request ${id} was refused`);
  }

  /** The first connection asks for an area of chains in flight, and all share it. */
  private async shareArea(): Promise<void> {
    if (this.area === undefined) await this.ask(31, joined(longs(0, 0), words(2 | (SIZE << 16))));
    await this.ack(32, this.area!.payload, [this.area!.file]);
  }

  private openDriver(ring: number): DriverQueue {
    const at = RAM.gpa + ring * RING.NEXT;
    return openDriverQueue({
      space: this.guest,
      size: SIZE,
      desc: at + RING.desc,
      driver: at + RING.driver,
      device: at + RING.device,
      features: featuresFromBigInt(this.features),
    });
  }
}

export const SPLIT: bigint = 1n << 32n;
export const PACKED: bigint = SPLIT | (1n << 34n);

/** Go on with front-ends until something holds. */
export async function turnUntil(frontEnds: readonly FrontEnd[], holds: () => boolean): Promise<void> {
  while (!holds()) {
    for (const frontEnd of frontEnds) frontEnd.turn();
    await sleep(0);
  }
}
