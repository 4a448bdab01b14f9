import {
  FrameBurst,
  FramePool,
  guestDma,
  isBreakdown,
  openMmioTransport,
  openPollDriver,
  PLAIN_POLL_FEATURES,
  type PollNetDriver,
} from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { FrameSink, NetBackend } from '@ringwire/net-backend';
import { NET_SCRATCH_BYTES, NetDevice, VirtioMmio } from '@ringwire/virtio-device';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { ESWITCH_AREA_BYTES, Eswitch } from '../eswitch.js';
import type { EswitchOptions } from '../eswitch-options.js';
import { type ArbiterOptions, TransmitArbiter } from '../transmit-arbiter.js';
import { runUntil, type Stepped, VirtualClock } from '../virtual-clock.js';
import { station } from './card-stage.js';

const RAM = 0x1_0000;
const RAM_BYTES = 0x10_0000;
const AREA = Math.ceil(ESWITCH_AREA_BYTES / 0x1000) * 0x1000;
const GUEST_BYTES = RAM_BYTES + NET_SCRATCH_BYTES;
const BUFFERS = 256;
const QUEUE_SIZE = 64;
/** Buffers that receive rings have. */
const BURST = 32;
/** Segments that a large frame becomes, and their payload. */
const SEGMENTS = 45;
const MSS = 1448;

/** What a guest sends, over and over. */
export interface Load {
  readonly to: Uint8Array;
  /** Bytes of a frame from the destination address on, or 'TSO': 64 KiB of TCP that the device is to cut up. */
  readonly bytes: number | 'TSO';
}

/** A guest with a poll-mode driver on a function of the card. */
export class RateGuest {
  readonly net: NetDevice;
  readonly mmio: VirtioMmio;
  readonly driver: PollNetDriver;
  load: Load | undefined = undefined;
  private readonly pool: FramePool;
  private readonly out: FrameBurst = new FrameBurst(BURST);
  private readonly back: FrameBurst = new FrameBurst(BURST);

  constructor(
    memory: HostMemory,
    host: number,
    backend: NetBackend,
    mac: Uint8Array,
    ring: 'split' | 'packed',
    now: () => number,
  ) {
    const space = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host }]);
    const features = [...PLAIN_POLL_FEATURES, 'CSUM' as const, 'HOST_TSO4' as const].map((name) => VIRTIO_NET_F[name]);
    this.net = new NetDevice({ memory, scratch: host + RAM_BYTES, backend, mac });
    const rings = ring === 'packed' ? [VIRTIO_F.RING_PACKED] : [];
    const offer = featureWords([VIRTIO_F.VERSION_1, ...rings, ...features]);
    this.mmio = new VirtioMmio({ model: this.net, space, offer, now, interrupt: () => {} });
    const transport = openMmioTransport(this.mmio);
    if (isBreakdown(transport)) throw new Error(transport.message);
    const dma = guestDma(space, new PageAllocator(RAM, RAM_BYTES));
    this.pool = new FramePool(dma, { buffers: BUFFERS });
    const driver = openPollDriver({ transport, dma, pool: this.pool, queueSize: QUEUE_SIZE });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
  }

  /** Everything that the card owes it was taken, and its ring is full. */
  turn(): void {
    const { driver, back, pool, load } = this;
    while (driver.rxBurst(0, back) > 0) {
      pool.putBurst(back.frame, back.count);
      back.clear();
    }
    driver.reclaim(0);
    if (load !== undefined) this.send(load);
  }

  private send({ to, bytes }: Load): void {
    const { driver, out, pool } = this;
    for (;;) {
      out.clear();
      const first = bytes === 'TSO' ? this.large(to) : this.plain(to, bytes);
      if (first < 0) return;
      out.push(first, pool.frameBytes(first));
      if (driver.txBurst(0, out) === 1) continue;
      pool.put(first);
      return;
    }
  }

  private plain(to: Uint8Array, bytes: number): number {
    const { pool } = this;
    const first = pool.take();
    if (first < 0) return first;
    const at = pool.dataOf(first);
    pool.memory.u8.set(to, at);
    pool.memory.u8.set(this.driver.mac, at + 6);
    pool.memory.u8.set([0x88, 0xb5], at + 12);
    pool.setLength(first, bytes);
    return first;
  }

  private large(to: Uint8Array): number {
    const { pool } = this;
    const bytes = new Uint8Array(54 + SEGMENTS * MSS);
    const view = new DataView(bytes.buffer);
    bytes.set(to);
    bytes.set(this.driver.mac, 6);
    // IPv4 with TCP: lengths, protocol 6, a TCP header of 20 bytes.
    bytes.set([0x08, 0x00, 0x45], 12);
    view.setUint16(16, bytes.length - 14);
    bytes.set([64, 6], 22);
    bytes.set([10, 0, 0, 1, 10, 0, 0, 2], 26);
    bytes.set([0x50, 0x10], 46);
    const first = pool.fill(bytes);
    if (first < 0) return first;
    pool.setOffload(first, 1, 1);
    pool.hdrLen[first] = 54;
    pool.gsoSize[first] = MSS;
    pool.csumStart[first] = 34;
    pool.csumOffset[first] = 16;
    return first;
  }
}

/** What is at the wire's other end: it takes everything. */
const WIRE_END: FrameSink = { offloads: 0x1ff, receive: () => 0 };

export interface RateCardOptions {
  /** Virtual functions; guest 0 has the physical one. */
  readonly virtualFunctions: number;
  readonly ring: 'split' | 'packed';
  readonly arbiter?: Partial<ArbiterOptions>;
  readonly card?: Partial<EswitchOptions>;
}

/** A card in virtual time: real devices and drivers, the switch, the arbiter, a wire. */
export class RateCard implements Stepped {
  readonly clock = new VirtualClock();
  readonly arbiter: TransmitArbiter;
  readonly card: Eswitch;
  /** Of functions: the physical one first. Guest g is at port g + 1, with the address station(g + 1). */
  readonly guests: RateGuest[];

  constructor(options: RateCardOptions) {
    const { virtualFunctions, ring } = options;
    const { now } = this.clock;
    const memory = HostMemory.create(AREA + (virtualFunctions + 1) * GUEST_BYTES);
    this.arbiter = new TransmitArbiter({ now, ...options.arbiter });
    this.card = new Eswitch({ memory, at: 0, virtualFunctions, now, gate: this.arbiter, ...options.card });
    this.card.wire.backend.attach(WIRE_END);
    this.guests = [this.card.physical, ...this.card.virtual].map((port, index) => {
      port.configure({ mac: station(index + 1) });
      return new RateGuest(memory, AREA + index * GUEST_BYTES, port.backend, station(index + 1), ring, now);
    });
  }

  step(budget: number): number {
    let done = 0;
    for (const guest of this.guests) {
      guest.turn();
      done += guest.mmio.device.step(budget);
    }
    return done;
  }

  deadline(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { mmio } of this.guests) first = Math.min(first, mmio.device.deadline());
    return first;
  }

  /** Bytes on the wire that each guest was let through in so many µs from now on. */
  measure(microseconds: number): number[] {
    const ports = this.guests.map((_, index) => this.arbiter.countersOf(index + 1));
    const before = ports.map(({ wireBytes }) => wireBytes);
    runUntil(this, this.clock, this.clock.now() + microseconds);
    return ports.map(({ wireBytes }, index) => wireBytes - before[index]!);
  }
}
