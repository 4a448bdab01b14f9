import { SENT } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import { RangeList } from '@ringwire/guest-memory';
import {
  type CablePlace,
  cableSpotAt,
  DELIVERED,
  type Delivered,
  Frame,
  type FrameSink,
  frameBytes,
  SharedCable,
} from '@ringwire/net-backend';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { ParkingSpot } from '../parking-spot.js';
import type { ProtectedConfig } from '../protected-config.js';
import { type ProtectedOptions, ProtectedThread } from '../protected-thread.js';
import type { NetModelConfig } from '../thread-config.js';
import { MAC, NetSide, netMemory, numberedFrame, RAM } from './net-thread.js';

const SCRATCH = 0x180_0000;
const CABLE: CablePlace = { at: 0x190_0000, bytes: 0x20_0000, frames: 256 };
const KEEP = 0x1c0_0000;
/** Where the peer's frame lies before it is copied into the cable. */
const OUTBOX = 0x1f0_0000;
/** Frames on their way in one direction, at most. */
const WINDOW = 96;

export const netModel = (more: Partial<NetModelConfig> = {}): NetModelConfig => ({
  type: 'net',
  mac: MAC,
  scratch: SCRATCH,
  backend: { type: 'cable', ...CABLE, end: 0 },
  holdWhenFull: true,
  ...more,
});

export const protectedConfig = (memory: HostMemory, more: Partial<ProtectedConfig> = {}): ProtectedConfig => ({
  memory: memory.wasm!,
  space: { type: 'regions', regions: [RAM] },
  model: netModel(),
  keep: KEEP,
  ...more,
});

/** Whoever is at the other end of the cable, on the test's thread: counts what comes, and sends. */
class Peer implements FrameSink {
  readonly offloads = 0;
  /** Frames that came, in order and each once. */
  received = 0;
  sent = 0;
  readonly problems: string[] = [];
  private readonly cable: SharedCable;
  private readonly memory: HostMemory;
  private readonly frame: Frame;

  constructor(memory: HostMemory) {
    const spot = new ParkingSpot(memory.i32, cableSpotAt(CABLE, 0) >> 2);
    this.memory = memory;
    this.cable = new SharedCable(memory, CABLE, 1, () => spot.wake());
    this.cable.attach(this);
    this.cable.running(true);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(OUTBOX, 0);
    this.frame.end = 1;
  }

  receive(frame: Frame): Delivered {
    checkNumbered(frameBytes(frame), this.received, this.problems, 'sent');
    this.received++;
    return DELIVERED.ACCEPTED;
  }

  /** Take what came and send up to `most` frames. */
  turn(most: number): void {
    this.cable.pump(64);
    for (let n = 0; n < most; n++) {
      const bytes = numberedFrame(this.sent);
      this.memory.u8.set(bytes, OUTBOX);
      this.frame.ranges.length[0] = bytes.length;
      this.frame.length = bytes.length;
      if (this.cable.receive(this.frame) !== DELIVERED.ACCEPTED) break;
      this.sent++;
    }
    this.cable.flush();
  }
}

function checkNumbered(bytes: Uint8Array, want: number, problems: string[], what: string): void {
  if (problems.length > 3) return;
  const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(14);
  if (number !== want) problems.push(`${what} frame ${number}, want ${want}`);
  else if (Buffer.compare(bytes, numberedFrame(want)) !== 0) problems.push(`${what} frame ${want} is damaged`);
}

/** A guest with a driver, a protected device, and a peer; every frame of both directions is checked. */
export class ProtectedStage {
  readonly memory: HostMemory = netMemory();
  readonly thread: ProtectedThread;
  readonly side: NetSide;
  readonly peer: Peer;
  readonly tookOver: string[] = [];
  /** What the guest's driver was told of its device. */
  readonly told: string[] = [];
  sent = 0;
  received = 0;

  constructor(
    more: Partial<ProtectedConfig>,
    accept: readonly number[],
    options: ProtectedOptions = {},
    /** What depends on the stage's memory. */
    within: (memory: HostMemory) => Partial<ProtectedConfig> = () => ({}),
  ) {
    const { memory } = this;
    const config = protectedConfig(memory, { ...more, ...within(memory) });
    this.peer = new Peer(memory);
    this.thread = new ProtectedThread(config, {
      tookOver: (role) => this.tookOver.push(role),
      died: (reason) => this.told.push(`died: ${reason}`),
      ...options,
    });
    this.side = new NetSide(
      this.thread.link,
      memory,
      {
        frame: (frame) => {
          checkNumbered(frame.bytes(), this.received, this.peer.problems, 'received');
          this.received++;
        },
        broken: (why) => this.told.push(why.message),
        restarted: () => this.told.push('restarted'),
      },
      {
        features: featureWords([
          VIRTIO_F.VERSION_1,
          VIRTIO_NET_F.MAC,
          VIRTIO_NET_F.MRG_RXBUF,
          VIRTIO_NET_F.CTRL_VQ,
          ...accept,
        ]),
      },
    );
  }

  get problems(): readonly string[] {
    return [...this.peer.problems, ...this.told];
  }

  /** Some frames in both directions, then a turn of the event loop, where the end of a thread is heard of. */
  async turn(): Promise<void> {
    const { side, peer } = this;
    while (this.sent - peer.received < WINDOW && side.driver.sendBytes(numberedFrame(this.sent)) === SENT.OK)
      this.sent++;
    peer.turn(WINDOW - (peer.sent - this.received));
    side.attend(1);
    side.driver.watch();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async until(done: () => boolean, limitMs = 30_000): Promise<void> {
    const end = performance.now() + limitMs;
    while (!done()) {
      if (this.problems.length > 0 || performance.now() > end) {
        const { sent, received, peer } = this;
        throw new Error(
          `${this.problems}: ${sent}/${peer.received} sent, ${peer.sent}/${received} received, ${this.tookOver}`,
        );
      }
      await this.turn();
    }
  }

  /** Until so many more frames came in each direction. */
  async flow(frames: number): Promise<void> {
    const [sent, received] = [this.peer.received + frames, this.received + frames];
    await this.until(() => this.peer.received >= sent && this.received >= received);
  }

  async close(): Promise<void> {
    this.side.driver.close();
    await this.thread.close();
  }
}
