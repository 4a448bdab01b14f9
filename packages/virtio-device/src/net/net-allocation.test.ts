import { GuestMemory, HostMemory, RangeList } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  EVERY_OFFLOAD,
  Frame,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { BufferList, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import { NetDevice } from './net-device.js';
import { FakePort } from './testing/fake-port.js';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, MAC } from './testing/net-bench.js';
import { tcp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const BURST = 32;
const ROUNDS = 20;
const BURSTS = 400;
const WARM = 4;
const HOST = 0x10_0000;
const TX_AT = 0x2_0000;
const RX_AT = 0x4_0000;
const BUFFER_BYTES = 2048;

/** Brings the same frame again and again, and takes what comes. */
class Tireless implements NetBackend {
  offloads = 0;
  frames = 0;
  private device: FrameSink | undefined = undefined;
  private readonly frame: Frame;

  constructor(memory: HostMemory, bytes: Uint8Array) {
    memory.u8.set(bytes, HOST + 0x8000);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(HOST + 0x8000, bytes.length);
    this.frame.end = 1;
    this.frame.length = bytes.length;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(_frame: Frame): Delivered {
    this.frames++;
    return DELIVERED.ACCEPTED;
  }

  pump(): number {
    for (let i = 0; i < BURST; i++) this.device!.receive(this.frame);
    return 0;
  }
}

/** Heap that a loop took, in bytes: the sum of what each round added, so that a collection in between hides little. */
function heapTaken(loop: () => void): number {
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let round = 0; round < ROUNDS; round++) {
    loop();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  return taken;
}

const open = tcp4({ checksum: 'offloaded' });

describe.each(LAYOUTS)('%s', (layout) => {
  test.each([
    ['plain frames', plainHeader(), frameOf(60), 0],
    ['checksums finished in software', hex('01 00 0000 0000 2200 1000 0000'), open, 0],
    ['checksums left to the backend', hex('01 00 0000 0000 2200 1000 0000'), open, EVERY_OFFLOAD],
  ])('a quarter of a million frames each way need no allocation per frame: %s', (_, header, frame, offloads) => {
    const memory = HostMemory.create(HOST + 0x1_0000);
    const space = new GuestMemory(memory, [{ gpa: 0, size: HOST, host: 0 }]);
    const rings = layout === 'packed' ? [VIRTIO_F.RING_PACKED] : [];
    const bits = [F.CSUM, F.GUEST_CSUM, F.MRG_RXBUF, F.CTRL_VQ, F.CTRL_RX];
    const features = featureWords([VIRTIO_F.VERSION_1, ...rings, ...bits]);
    const backend = new Tireless(memory, frameOf(60));
    backend.offloads = offloads;
    const device = new NetDevice({ memory, scratch: HOST, backend, mac: MAC });
    const port = new FakePort(memory, features);
    const [rx, tx] = [0x1000, 0x9000].map((desc, index) => {
      const config = { space, size: 64, desc, driver: desc + 0x1000, device: desc + 0x2000, features };
      const driver = openDriverQueue(config);
      port.open(index, config);
      driver.disableNotifications();
      return driver;
    }) as [ReturnType<typeof openDriverQueue>, ReturnType<typeof openDriverQueue>];
    device.start(port);
    const packet = join(header, frame);
    const sent = new BufferList(BURST);
    const posted = new BufferList(BURST);
    for (let i = 0; i < BURST; i++) {
      memory.u8.set(packet, TX_AT + i * BUFFER_BYTES);
      sent.addReadable(TX_AT + i * BUFFER_BYTES, packet.length);
      posted.addWritable(RX_AT + i * BUFFER_BYTES, BUFFER_BYTES);
    }
    const used = new UsedBurst(64);
    const bursts = (): void => {
      for (let n = 0; n < BURSTS; n++) {
        tx.addBurst(sent);
        rx.addBurst(posted);
        tx.publish();
        rx.publish();
        device.step(64);
        for (const queue of [tx, rx]) {
          used.clear();
          if (queue.takeUsed(used, 64) !== BURST) throw new Error('a frame is missing');
        }
      }
    };
    for (let warm = 0; warm < WARM; warm++) bursts();
    const frames = ROUNDS * BURSTS * BURST;
    const bytes = heapTaken(bursts);
    expect(backend.frames).toBe(frames + WARM * BURSTS * BURST);
    // The smallest object has 12 bytes; a burst of 32 frames each way may cost a little, a frame nothing.
    expect(bytes / (2 * frames)).toBeLessThan(4);
  });
});
