import { HostMemory, IdentitySpace, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, SharedCable } from '@ringwire/net-backend';
import { PCI_COMMAND, PCI_HEADER } from '@ringwire/pci';
import { NET_SCRATCH_BYTES, type VirtioDevice } from '@ringwire/virtio-device';
import { DEVICE_STATUS, featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { buildKeptNet } from './build-model.js';
import { ASKED, controlLayout, LIFE } from './control-layout.js';
import { DeviceKeeper } from './device-keeper.js';
import type { LinkPlace } from './device-link.js';
import { InterruptRaiser } from './interrupt-words.js';
import { ACCESS_KIND } from './mailbox.js';
import { keepLayoutOf } from './protected-config.js';
import { linkPlaceOf } from './serve-device.js';
import { servePci } from './served-device.js';
import type { CompleteThreadConfig, KeptOrder, NetModelConfig } from './thread-config.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
const F = VIRTIO_F;
const SIZE = 64;
const VECTORS = 4;
/** Host offsets of everything. */
const AT = {
  scratch: 0,
  cable: 0x1_0000,
  keep: 0x3_0000,
  rings: 0x6_0000,
  ringBytes: 0x4000,
  buffers: 0x8_0000,
  outbox: 0xf_0000,
  END: 0x10_0000,
} as const;
/** Room for the frames of two lives: what one took is given back in the next one. */
const CABLE = { at: AT.cable, bytes: 0x2_0000, frames: 2 * SIZE } as const;
const BUFFER_BYTES = 2048;
const FRAME_BYTES = 60;
/** Of `struct virtio_net_hdr_v1`. */
const HEADER_BYTES = 12;
const QUEUES = [0, 1] as const;
/** Frames of each direction in a life, and lives with the features of each driver: what is run now and then gets compiled. */
const FRAMES = 32;
const LIVES = 3;
/** Between them what drivers accept that changes which code runs. */
const DRIVERS = [
  [],
  [F.RING_PACKED, VIRTIO_NET_F.MRG_RXBUF, F.EVENT_IDX],
  [VIRTIO_NET_F.MRG_RXBUF, F.EVENT_IDX, F.IN_ORDER],
  [F.RING_PACKED, F.IN_ORDER],
];

/** Serve a kept device, until it is asked to leave; `begun` is called behind the first turn. */
export type ServeOnce = (
  place: LinkPlace,
  config: CompleteThreadConfig,
  kept: KeptOrder,
  memory: HostMemory,
  begun: () => void,
) => void;

/**
 * Go on with a device again and again, with a driver and a peer, in a memory of one's own: what was never run is compiled when it
 * is run, and that would take longer than all the rest of going on with the real one.
 * @param config of the real one
 * @param isOver asked between lives: the real one is there to be gone on with
 * @returns frames that went through, in both directions
 */
export function rehearse(config: CompleteThreadConfig, serve: ServeOnce, isOver: () => boolean): number {
  const memory = HostMemory.create(AT.END);
  const own = rehearsalConfig(config, memory);
  let frames = 0;
  for (const accept of DRIVERS) {
    if (isOver()) break;
    memory.u8.fill(0);
    const rehearsal = new Rehearsal(own, memory, accept);
    rehearsal.run(serve, isOver);
    frames += rehearsal.frames;
  }
  return frames;
}

function rehearsalConfig(config: CompleteThreadConfig, memory: HostMemory): CompleteThreadConfig {
  const { mac, mtu, features, without, validateChecksums } = config.model as NetModelConfig;
  const model = {
    type: 'net',
    mac,
    scratch: AT.scratch,
    backend: { type: 'cable', ...CABLE, end: 0 },
    rxQueueSize: SIZE,
    txQueueSize: SIZE,
    controlQueueSize: SIZE,
    holdWhenFull: true,
    ...(mtu === undefined ? {} : { mtu }),
    ...(features === undefined ? {} : { features }),
    ...(without === undefined ? {} : { without }),
    ...(validateChecksums === undefined ? {} : { validateChecksums }),
  } as const;
  return { ...config, model, memory: memory.wasm!, space: { type: 'identity' }, vectors: VECTORS, doorbells: SIZE };
}

/** A driver and a peer at their plainest, and a device between them that leaves soon. */
class Rehearsal implements FrameSink {
  readonly offloads = 0;
  /** That went through. */
  frames = 0;
  private readonly config: CompleteThreadConfig;
  private readonly memory: HostMemory;
  private readonly accept: readonly number[];
  private readonly place: LinkPlace;
  private readonly peer: SharedCable;
  private readonly frame: Frame;
  private readonly used = new UsedBurst(SIZE);

  constructor(config: CompleteThreadConfig, memory: HostMemory, accept: readonly number[]) {
    const { words } = controlLayout({ doorbells: config.doorbells, vectors: VECTORS });
    this.config = config;
    this.memory = memory;
    this.accept = accept;
    this.place = linkPlaceOf(config, new Int32Array(new SharedArrayBuffer(words * 4)));
    this.peer = new SharedCable(memory, CABLE, 1, () => {});
    this.peer.attach(this);
    this.peer.running(true);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(AT.outbox, FRAME_BYTES);
    this.frame.end = 1;
    this.frame.length = FRAME_BYTES;
  }

  receive(_frame: Frame): Delivered {
    this.frames++;
    return DELIVERED.ACCEPTED;
  }

  run(serve: ServeOnce, isOver: () => boolean): void {
    const { config, memory, place } = this;
    const { words } = place;
    const layout = controlLayout(place);
    const [receive, transmit] = this.setUp();
    const kept = { at: AT.keep, gate: new Int32Array(1) };
    for (let life = 0; life < LIVES && !isOver(); life++) {
      this.offer(receive, transmit);
      Atomics.store(words, layout.state, LIFE.STARTING);
      // In the second turn what came in the first one is given back to the cable.
      serve(place, config, kept, memory, () => Atomics.store(words, layout.asked, ASKED.LEAVE));
      this.peer.pump(FRAMES);
      this.takeUsed(transmit);
      this.frames += this.takeUsed(receive);
    }
  }

  private takeUsed(queue: DriverQueue): number {
    this.used.clear();
    return queue.takeUsed(this.used, SIZE);
  }

  /** The first life: a driver sets the device up. */
  private setUp(): readonly [DriverQueue, DriverQueue] {
    const { config, memory, place } = this;
    const model = config.model as NetModelConfig;
    const layout = controlLayout(place);
    const keeper = new DeviceKeeper(memory, keepLayoutOf(AT.keep, model));
    const served = servePci(place.words, layout, new InterruptRaiser(place.words, layout), {
      model: buildKeptNet(model, memory, keeper),
      space: new IdentitySpace(memory),
      vectors: VECTORS,
      kept: keeper,
      ...(config.offer === undefined ? {} : { offer: config.offer }),
    });
    const { device } = served;
    served.serve(
      ACCESS_KIND.CONFIG_WRITE,
      PCI_HEADER.COMMAND,
      2,
      PCI_COMMAND.MEMORY_SPACE_ENABLE | PCI_COMMAND.BUS_MASTER_ENABLE,
    );
    const features = this.featuresFor(device);
    let status = 0;
    const step = (bit: number): void => {
      status |= bit;
      device.writeStatus(status);
    };
    step(ACKNOWLEDGE);
    step(DRIVER);
    for (const [word, bits] of features.entries()) device.acceptFeatures(word, bits);
    step(FEATURES_OK);
    const space = new IdentitySpace(memory);
    const [receive, transmit] = QUEUES.map((index) => {
      const desc = AT.rings + index * AT.ringBytes;
      const areas = [desc, desc + 0x1000, desc + 0x2000] as const;
      const slot = device.writableQueue(index);
      slot?.writeSize(SIZE, hasFeature(features, F.RING_PACKED));
      for (const [area, at] of areas.entries()) {
        slot?.writeAddress(area, false, at);
        slot?.writeAddress(area, true, 0);
      }
      const [, driver, used] = areas;
      const queue = openDriverQueue({ space, size: SIZE, desc, driver, device: used, features });
      device.enableQueue(index);
      return queue;
    }) as [DriverQueue, DriverQueue];
    step(DRIVER_OK);
    keeper.save();
    return [receive, transmit];
  }

  /** What the driver accepts of what is offered. */
  private featuresFor(device: VirtioDevice): Uint32Array {
    const wanted = featureWords([F.VERSION_1, ...this.accept]);
    return wanted.map((word, at) => word & device.deviceFeatures(at));
  }

  /** Buffers to receive into, frames to send, and frames that come. */
  private offer(receive: DriverQueue, transmit: DriverQueue): void {
    const { memory, frame, peer } = this;
    for (let n = 0; n < FRAMES; n++) {
      receive.addWritable(AT.buffers + n * BUFFER_BYTES, BUFFER_BYTES);
      transmit.addReadable(AT.buffers + n * BUFFER_BYTES, HEADER_BYTES + FRAME_BYTES);
      memory.u32[AT.outbox >> 2] = n;
      peer.receive(frame);
    }
    receive.publish();
    transmit.publish();
    peer.flush();
  }
}

if (NET_SCRATCH_BYTES > AT.cable) throw new Error('the device works where the cable lies');
