import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { BufferList, type DriverQueue, openDriverQueue } from '@ringwire/virtqueue';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NET_SCRATCH_BYTES, NetDevice } from './net-device.js';
import { RX_STAT } from './net-statistics.js';
import { FakePort } from './testing/fake-port.js';

const SIZE = 16;
const RAM = 0x2_0000;
const BUFFERS = 0x8000;
const SLOT_BYTES = 0x800;
const SLOTS = (RAM - BUFFERS) / SLOT_BYTES;
const HEADER = 12;
/** A locally administered address of each guest. */
const macOf = (guest: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, guest);

interface Piece {
  readonly slot: number;
  readonly shift: number;
  readonly length: number;
}

type Step =
  | { readonly act: 'post'; readonly guest: number; readonly pieces: readonly Piece[] }
  | {
      readonly act: 'send';
      readonly guest: number;
      readonly piece: Piece;
      readonly asks: number;
      readonly lost: boolean;
    }
  | { readonly act: 'turn'; readonly guest: number };

/** Two guests behind a switch. Their memories are one and the same: whatever a buffer of one is may be in use with the other. */
class World {
  readonly memory: HostMemory;
  readonly devices: NetDevice[];
  private readonly space: GuestMemory;
  private readonly queues: DriverQueue[][];

  constructor(memory: HostMemory, packed: boolean) {
    this.memory = memory;
    this.space = new GuestMemory(memory, [{ gpa: 0, size: RAM, host: 0 }]);
    const lan = new LearningSwitch(2);
    const made = [0, 1].map((guest) => this.boot(guest, lan.ports[guest]!, packed));
    this.devices = made.map(({ device }) => device);
    this.queues = made.map(({ queues }) => queues);
  }

  private boot(guest: number, backend: NetBackend, packed: boolean): { device: NetDevice; queues: DriverQueue[] } {
    const { memory, space } = this;
    const device = new NetDevice({ memory, scratch: RAM + guest * NET_SCRATCH_BYTES, backend, mac: macOf(guest) });
    const port = new FakePort(memory, featureWords([VIRTIO_F.VERSION_1, ...(packed ? [VIRTIO_F.RING_PACKED] : [])]));
    const queues = [0, 1].map((index) => {
      const desc = (2 * guest + index) * 0x1000;
      const config = { space, size: SIZE, desc, driver: desc + 0x400, device: desc + 0x800, features: port.features };
      port.open(index, config);
      return openDriverQueue(config);
    });
    device.start(port);
    return { device, queues };
  }

  step(step: Step): unknown {
    const { act, guest } = step;
    const [rx, tx] = this.queues[guest]!;
    if (act === 'turn') return this.devices.map((device) => device.step(64));
    const list = new BufferList(4);
    if (act === 'post') {
      for (const { slot, shift, length } of step.pieces) list.addWritable(addressOf(slot, shift), HEADER + length);
      return [rx!.add(list), rx!.publish()];
    }
    const { slot, shift, length } = step.piece;
    const at = addressOf(slot, shift);
    const packet = new Uint8Array(HEADER + length).fill(slot, HEADER);
    packet[0] = step.asks;
    this.space.write(at, packet);
    if (length >= 14)
      this.space.write(at + HEADER, Uint8Array.of(...macOf(step.lost ? 9 : 1 - guest), ...macOf(guest), 8, 0));
    list.addReadable(at, HEADER + length);
    return [tx!.add(list), tx!.publish()];
  }

  state(): unknown {
    return {
      bytes: Buffer.from(this.memory.u8.buffer, 0, RAM).toString('base64'),
      counters: this.devices.map((device) => [0, 1].map((index) => [...device.queueStatistics(index).words])),
      snapshots: this.devices.map((device) => device.snapshot()),
    };
  }
}

const addressOf = (slot: number, shift: number): number => BUFFERS + slot * SLOT_BYTES + shift;

const guest = fc.nat(1);
const length = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 14, max: 70 }) },
  { weight: 1, arbitrary: fc.nat(1540) },
);
const shift = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(0, 4, 20) }, { weight: 1, arbitrary: fc.nat(8) });
const piece = fc.record({ slot: fc.nat(SLOTS - 2), shift, length });
const rarely = <T>(usual: T, rare: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constant(rare) });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('post' as const),
      guest,
      pieces: fc.oneof(
        { weight: 8, arbitrary: fc.tuple(piece) },
        { weight: 1, arbitrary: fc.array(piece, { minLength: 2, maxLength: 3 }) },
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant('send' as const),
      guest,
      piece,
      asks: rarely(0, 1),
      lost: rarely(false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('turn' as const), guest }) },
);

test('frames are found and placed by WebAssembly as by JavaScript, whatever they are, and wherever buffers lie', () => {
  let received = 0;
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { minLength: 20, maxLength: 120 }), (packed, steps) => {
      const bytes = RAM + 2 * NET_SCRATCH_BYTES;
      const looped = new World(HostMemory.create(bytes), packed);
      const plain = new World(HostMemory.wrap(new SharedArrayBuffer(bytes)), packed);
      expect([looped.memory.wasm === undefined, plain.memory.wasm === undefined]).toEqual([false, true]);
      const last: Step = { act: 'turn', guest: 0 };
      for (const each of [...steps, last]) expect(looped.step(each)).toEqual(plain.step(each));
      expect(looped.state()).toEqual(plain.state());
      for (const device of looped.devices) received += device.queueStatistics(0).get(RX_STAT.rx_packets);
    }),
    { numRuns: 100 },
  );
  expect(received).toBeGreaterThan(200);
});
