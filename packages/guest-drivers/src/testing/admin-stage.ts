import { GuestMemory, gather, HostMemory, PageAllocator, scatter } from '@ringwire/guest-memory';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { ChainBurst, type DeviceQueue, isRefusal, openDeviceQueue, openDriverQueue, TAKE } from '@ringwire/virtqueue';
import { AdminClient } from '../admin-client.js';
import { AdminQueue, type AdminReply } from '../admin-queue.js';
import { DmaArena } from '../dma-arena.js';
import { guestDma } from '../dma-memory.js';
import type { LiveQueue } from '../live-queue.js';

const RAM = 0x20_0000;
const SIZE = 8;
const memory = HostMemory.create(RAM);

/** What a command was, as the device finds it. */
export interface Asked {
  readonly opcode: number;
  readonly group: number;
  readonly member: number;
  /** All readable bytes behind the head, and how many writable ones there are. */
  readonly data: Uint8Array;
  readonly room: number;
  readonly readable: number;
}

/** Bytes from hex with blanks. */
export const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(/\s/g, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
export const text = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** The driver's end of an administration queue, and a device that answers as the test says. */
export class AdminStage {
  time = 1000;
  functions = 4;
  readonly queue: AdminQueue;
  readonly client: AdminClient;
  readonly asked: Asked[] = [];
  /** Answers, in hex from the status on, one after the other; `undefined`: no answer yet. Then `answer` says. */
  readonly script: (string | undefined)[] = [];
  answer: (asked: Asked) => string | undefined = () => '00000000 00000000';
  /** Bytes that the device says it wrote, where that is another number. */
  claims: number | undefined = undefined;
  private readonly ring: DeviceQueue;
  private readonly held: { token: number }[] = [];
  private readonly burst: ChainBurst = new ChainBurst(1);

  constructor(slotBytes = 0x4000) {
    memory.engine.fill(0, 0xa5, RAM);
    const space = new GuestMemory(memory, [{ gpa: 0, size: RAM, host: 0 }]);
    const arena = new DmaArena(guestDma(space, new PageAllocator(0x1000, RAM - 0x1000)));
    const desc = arena.allocate(0x3000);
    const place = { space, size: SIZE, desc, driver: desc + 0x1000, device: desc + 0x2000 };
    const config = { ...place, features: featureWords([VIRTIO_F.VERSION_1]) };
    const driver = openDriverQueue(config);
    const ring = openDeviceQueue(config);
    if (isRefusal(ring)) throw new Error(ring.message);
    this.ring = ring;
    const live = { queue: driver, publish: () => driver.publish() } as unknown as LiveQueue;
    this.queue = new AdminQueue(live, arena, slotBytes);
    this.client = new AdminClient(
      this.queue,
      () => this.time,
      () => this.functions,
    );
  }

  /** The device takes what there is, and answers what it is to answer; then the driver looks. */
  turn(): void {
    for (;;) {
      this.burst.clear();
      if (this.ring.takeAvailable(this.burst) !== TAKE.CHAIN) break;
      const asked = this.read();
      this.asked.push(asked);
      const answer = this.script.length > 0 ? this.script.shift() : this.answer(asked);
      if (answer === undefined) this.held.push({ token: this.burst.token[0]! });
      else this.ring.putUsed(this.burst.token[0]!, this.write(hex(answer)));
    }
    this.ring.publishUsed();
    this.client.poll();
  }

  /** Turns until nothing is on its way. */
  settle(): void {
    for (let turns = 0; turns < 40; turns++) this.turn();
  }

  /** What was not answered is, with nothing written. */
  answerLate(): void {
    for (const { token } of this.held.splice(0)) this.ring.putUsed(token, 8);
    this.ring.publishUsed();
  }

  /** Lists agreed on, of everything. */
  begin(): this {
    const before = this.answer;
    this.answer = ({ opcode }) => (opcode === 0 ? '0000000000000000 ffff030000000000' : '0000000000000000');
    for (const group of [this.client.self, this.client.sriov]) {
      group.begin(() => {});
      this.settle();
    }
    this.answer = before;
    this.asked.length = 0;
    return this;
  }

  private read(): Asked {
    const { burst } = this;
    const readable = burst.readableBytes(0);
    const bytes = new Uint8Array(readable);
    gather(memory, burst.segments, burst.first[0]!, burst.firstWritable[0]! - burst.first[0]!, bytes);
    const view = new DataView(bytes.buffer);
    return {
      opcode: view.getUint16(0, true),
      group: view.getUint16(2, true),
      member: view.getUint32(16, true) + view.getUint32(20, true) * 2 ** 32,
      data: bytes.slice(24),
      room: burst.writableBytes(0),
      readable,
    };
  }

  private write(bytes: Uint8Array): number {
    const { burst } = this;
    const first = burst.firstWritable[0]!;
    const written = scatter(memory, burst.segments, first, burst.end(0) - first, bytes);
    return this.claims ?? written;
  }
}

/** Collects how commands ended, as 'status.qualifier'. */
export class Replies {
  readonly ended: string[] = [];
  last: AdminReply | undefined;
  readonly done = (reply: AdminReply): void => {
    this.last = reply;
    this.ended.push(`${reply.status}.${reply.qualifier}`);
  };
}
