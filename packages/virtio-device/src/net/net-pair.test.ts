import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch, type NetBackend, pairBackends } from '@ringwire/net-backend';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import { NET_SCRATCH_BYTES, NetDevice } from './net-device.js';
import { NET_DROP } from './net-drop.js';
import { FakePort } from './testing/fake-port.js';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { LAYOUTS, MAC } from './testing/net-bench.js';
import { isChecksummed, tcp4 } from './testing/packets.js';

const F = VIRTIO_NET_F;
const RAM = 0x4_0000;
const SIZE = 16;
const TX_BUFFER = 0x1_0000;
const RX_BUFFERS = 0x2_0000;
const BUFFER_BYTES = 0x2000;

/** A guest with a network device, in its own part of a machine's memory. */
class Guest {
  readonly device: NetDevice;
  readonly port: FakePort;
  readonly space: GuestMemory;
  readonly rx: DriverQueue;
  readonly tx: DriverQueue;
  private posted = 0;
  private readonly used = new UsedBurst(SIZE);

  constructor(memory: HostMemory, host: number, backend: NetBackend, features: readonly number[], isForeign = false) {
    this.space = new GuestMemory(memory, [{ gpa: 0, size: RAM, host }]);
    const scratch = isForeign ? {} : { scratch: host + RAM };
    this.device = new NetDevice({ memory, ...scratch, backend, mac: MAC });
    this.port = new FakePort(memory, featureWords([VIRTIO_F.VERSION_1, ...features]));
    [this.rx, this.tx] = [0x1000, 0x4000].map((desc, index) => {
      const place = { size: SIZE, desc, driver: desc + 0x1000, device: desc + 0x2000 };
      const config = { space: this.space, ...place, features: this.port.features };
      const driver = openDriverQueue(config);
      this.port.open(index, config);
      return driver;
    }) as [DriverQueue, DriverQueue];
    this.device.start(this.port);
    this.device.step(SIZE);
  }

  post(): void {
    this.rx.addWritable(RX_BUFFERS + this.posted++ * BUFFER_BYTES, BUFFER_BYTES);
    this.rx.publish();
  }

  send(...packets: readonly Uint8Array[]): void {
    for (const [i, packet] of packets.entries()) {
      this.space.write(TX_BUFFER + i * BUFFER_BYTES, packet);
      this.tx.addReadable(TX_BUFFER + i * BUFFER_BYTES, packet.length);
    }
    this.tx.publish();
    this.device.step(SIZE);
  }

  /** Packets in receive buffers, header and frame, in the order they were posted. */
  received(): Uint8Array[] {
    this.used.clear();
    this.rx.takeUsed(this.used, SIZE);
    const lengths = [...this.used.written.subarray(0, this.used.count)];
    return lengths.map((length, i) => this.space.read(RX_BUFFERS + i * BUFFER_BYTES, length));
  }
}

/** Where a second guest's RAM is: in the same host memory, or in one of somebody else's. */
const PLACES = ['one memory', 'two memories'] as const;
type Place = (typeof PLACES)[number];
const PART = RAM + NET_SCRATCH_BYTES;

function guests(place: Place, backends: readonly NetBackend[], features: readonly (readonly number[])[]): Guest[] {
  const memory = HostMemory.create(2 * PART);
  return backends.map((backend, index) => {
    if (index === 0 || place === 'one memory') return new Guest(memory, index * PART, backend, features[index]!);
    return new Guest(HostMemory.wrap(new ArrayBuffer(RAM + 64), 64), 0, backend, features[index]!, true);
  });
}

/** Two guests on one cable. */
function cable(
  place: Place,
  layout: (typeof LAYOUTS)[number],
  features: readonly number[],
  peer = features,
): [Guest, Guest] {
  const rings = layout === 'packed' ? [VIRTIO_F.RING_PACKED] : [];
  return guests(place, pairBackends(), [
    [...rings, ...features],
    [...rings, ...peer],
  ]) as [Guest, Guest];
}

const giant = tcp4({ checksum: 'offloaded', payload: 3000 });
const tso = hex('01 01 3600 e803 2200 1000 0000');

const CASES = LAYOUTS.flatMap((layout) => PLACES.map((place) => [layout, place] as const));

describe.each(CASES)('%s, %s: two devices on a cable', (layout, place) => {
  test('what one guest sends lies in the other guest’s buffers when the sender’s step ends, notified of once', () => {
    const [a, b] = cable(place, layout, []);
    for (let i = 0; i < 3; i++) b.post();
    a.send(...[1, 2, 3].map((seed) => join(plainHeader(), frameOf(60, seed))));
    const header = hex('00 00 0000 0000 0000 0000 0100');
    expect(b.received()).toEqual([1, 2, 3].map((seed) => join(header, frameOf(60, seed))));
    expect(b.port.notifications).toEqual([0]);
    expect([a.port.depth, b.port.depth]).toEqual([0, 0]);
    expect(a.port.notifications).toEqual([1]);
  });

  test('a frame to be segmented arrives whole where the other driver takes that, and is cut up where it does not', () => {
    const HOST = [F.CSUM, F.HOST_TSO4];
    const [a, b] = cable(place, layout, HOST, [F.GUEST_CSUM, F.GUEST_TSO4]);
    b.post();
    a.send(join(tso, giant));
    expect(b.received()).toEqual([join(hex('01 01 3600 e803 2200 1000 0100'), giant)]);
    const [c, d] = cable(place, layout, HOST, []);
    for (let i = 0; i < 3; i++) d.post();
    c.send(join(tso, giant));
    const segments = d.received().map((packet) => packet.subarray(12));
    expect(segments.map(({ length }) => length)).toEqual([1054, 1054, 1054]);
    expect(segments.every(isChecksummed)).toBe(true);
    const [e, f] = cable(place, layout, [], HOST);
    for (let i = 0; i < 3; i++) e.post();
    f.send(join(tso, giant));
    expect(e.received().map((packet) => packet.subarray(12))).toEqual(segments);
  });

  test('RX-08: a guest without buffers loses its frames, and the sender goes on', () => {
    const [a, b] = cable(place, layout, []);
    a.send(join(plainHeader(), frameOf(60, 1)), join(plainHeader(), frameOf(60, 2)));
    expect(b.device.drops[NET_DROP.RX_NO_BUFFER]).toBe(2);
    expect(a.device.drops[NET_DROP.TX_REFUSED]).toBe(2);
    expect(a.tx.hasUsed()).toBe(true);
    b.post();
    a.send(join(plainHeader(), frameOf(60, 3)));
    expect(b.received().map((packet) => packet.subarray(12))).toEqual([frameOf(60, 3)]);
  });

  test('RX-20: a guest that is reset gets nothing, and starts again', () => {
    const [a, b] = cable(place, layout, []);
    b.post();
    b.device.stop();
    const since = b.space.read(0, RAM);
    a.send(join(plainHeader(), frameOf(60)));
    expect(b.space.read(0, RAM)).toEqual(since);
    expect(b.device.drops[NET_DROP.RX_STOPPED]).toBe(1);
    b.device.start(b.port);
    a.send(join(plainHeader(), frameOf(60)));
    expect(b.received().length).toBe(1);
  });

  test('through a switch, frames that go on many at once arrive as frames that go on one by one', () => {
    const [OTHER, HERE] = ['525400aabbcc', '525400123456'];
    const lengths = [60, 13, 61, 1514, 1515, 14, 60, 2000, 64, 64];
    const [together, singly] = [true, false].map((runs) => {
      const { ports } = new LearningSwitch(2);
      const rings = layout === 'packed' ? [VIRTIO_F.RING_PACKED] : [];
      const backend = (port: NetBackend): NetBackend =>
        runs
          ? port
          : {
              offloads: port.offloads,
              receive: (frame) => port.receive(frame),
              flush: () => port.flush?.(),
              attach: (device) =>
                port.attach(
                  device && { offloads: 0, receive: (f) => device.receive(f), flush: () => device.flush?.() },
                ),
              pump: (budget) => port.pump(budget),
            };
      const [a, b] = guests(place, ports.map(backend), [rings, rings]) as [Guest, Guest];
      a.post();
      b.send(join(plainHeader(), frameOf(60, 0, OTHER).fill(0x52, 6, 7)));
      for (let i = 0; i < 6; i++) b.post();
      // The switch has heard of nobody at first, then of b.
      a.send(join(plainHeader(), frameOf(60, 1, HERE)));
      b.send(join(plainHeader(), Uint8Array.of(...hex(`${OTHER} ${HERE} 88b5`), ...new Uint8Array(46))));
      a.send(...lengths.map((length, seed) => join(plainHeader(), frameOf(length, seed, HERE))));
      return {
        got: b.received(),
        drops: [...b.device.drops],
        sent: [...a.device.drops],
        ports: ports.map(({ counters }) => counters),
        told: b.port.notifications,
      };
    });
    expect(together).toEqual(singly);
    expect(together!.got.map(({ length }) => length - 12)).toEqual([60, 60, 61, 1514, 14, 60]);
  });
});
