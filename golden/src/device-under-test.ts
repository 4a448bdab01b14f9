import { RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink, type NetBackend, OFFLOAD } from '@ringwire/net-backend';
import { type DevicePort, NetDevice } from '@ringwire/virtio-device';
import { featuresFromBigInt } from '@ringwire/virtio-spec';
import { type DeviceQueue, isRefusal, openDeviceQueue, type QueueRefusal, type QueueState } from '@ringwire/virtqueue';
import type { DeviceImage } from './device-image.js';
import type { RingSet } from './load-set.js';
import { givenPlaces, type Place } from './ring-view.js';
import type { Queue } from './set-schema.js';

/** The guest's address in all sets. */
const MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
/** The device's own MTU stands in no set: its tap took all that came. */
const MTU = 65535;
const ALL_OFFLOADS: number = Object.values<number>(OFFLOAD).reduce((all, bit) => all | bit);

/** A frame that left. */
export interface SentFrame {
  readonly bytes: Uint8Array;
  /** Per byte, 0 where the set does not say what was in memory. */
  readonly known: Uint8Array;
  readonly header: FrameHeader;
}

/** The fields of struct virtio_net_hdr that go with a frame. */
export interface FrameHeader {
  readonly flags: number;
  readonly gsoType: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

/** Our network device on a set's image, with its queues where the set's device had them. */
export class DeviceUnderTest {
  readonly image: DeviceImage;
  readonly device: NetDevice;
  /** By virtqueue index. */
  readonly queues: Map<number, DeviceQueue> = new Map();
  /** Used buffer notifications by virtqueue index, since {@link run} began. */
  readonly notifications: Map<number, number> = new Map();
  resetReason: string | undefined = undefined;
  /** Why a queue cannot be where the set says. */
  refusal: string | undefined = undefined;
  private readonly cable: Cable;

  constructor(set: RingSet, image: DeviceImage) {
    this.image = image;
    this.cable = new Cable(image);
    const { memory, deviceArea: scratch } = image;
    this.device = new NetDevice({ memory, scratch, backend: this.cable, mac: MAC, mtu: MTU });
    image.space.enter();
    for (const queue of set.queues) {
      const opened = openQueue(set, image, queue);
      if (isRefusal(opened)) this.refusal ??= `${queue.name}: ${opened.message}`;
      else this.queues.set(queue.index, opened);
    }
    image.space.leave();
    this.device.start(this.port(set));
  }

  /** Let the device do all there is to do, with these frames coming in. @returns the frames that left */
  run(frames: readonly { bytes: Uint8Array; header: FrameHeader | undefined }[]): SentFrame[] {
    this.notifications.clear();
    this.cable.sent.length = 0;
    this.cable.waiting.push(...frames);
    this.image.space.enter();
    while (this.device.step(1024) > 0);
    this.image.space.leave();
    return this.cable.sent;
  }

  private port(set: RingSet): DevicePort {
    return {
      memory: this.image.memory,
      features: featuresFromBigInt(set.expected.features),
      queue: (index) => this.queues.get(index),
      notifyUsed: (index) => void this.notifications.set(index, (this.notifications.get(index) ?? 0) + 1),
      configChanged: () => {},
      needsReset: (reason) => {
        this.resetReason = reason;
      },
      enter: () => true,
      leave: () => {},
      now: () => 0,
    };
  }
}

function openQueue(set: RingSet, { space }: DeviceImage, queue: Queue): DeviceQueue | QueueRefusal {
  const { lastAvail, used } = givenPlaces(set, queue);
  const config = {
    space,
    size: queue.num,
    desc: Number(queue.desc),
    driver: Number(queue.driver),
    device: Number(queue.device),
    features: featuresFromBigInt(set.expected.features),
  };
  return openDeviceQueue(config, stateOf(set.layout, lastAvail, used ?? lastAvail));
}

function stateOf(layout: RingSet['layout'], lastAvail: Place, used: Place): QueueState {
  if (layout === 'split') return { layout, lastAvailIdx: lastAvail.index, usedIdx: used.index };
  return {
    layout,
    lastAvailIdx: lastAvail.index,
    lastAvailWrapCounter: lastAvail.wrap,
    usedIdx: used.index,
    usedWrapCounter: used.wrap,
  };
}

/** A backend that keeps what leaves, and takes it as it is: offload fields and all, as the sets' taps do. */
class Cable implements NetBackend {
  readonly offloads: number = ALL_OFFLOADS;
  readonly sent: SentFrame[] = [];
  readonly waiting: { bytes: Uint8Array; header: FrameHeader | undefined }[] = [];
  private device: FrameSink | undefined = undefined;
  private readonly image: DeviceImage;
  private readonly frame: Frame;

  constructor(image: DeviceImage) {
    this.image = image;
    this.frame = new Frame(image.memory);
    this.frame.ranges = new RangeList();
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(frame: Frame): Delivered {
    const bytes = new Uint8Array(frame.length);
    const known = new Uint8Array(frame.length);
    let at = 0;
    let { skip } = frame;
    for (let range = frame.first; range < frame.end; range++) {
      const from = frame.ranges.offset[range]! + skip;
      const end = frame.ranges.offset[range]! + frame.ranges.length[range]!;
      for (let host = from; host < end; host++, at++) {
        bytes[at] = frame.memory.u8[host]!;
        known[at] = this.image.isKnown(host) ? 1 : 0;
      }
      skip = 0;
    }
    const { flags, gsoType, gsoSize, csumStart, csumOffset } = frame;
    this.sent.push({ bytes, known, header: { flags, gsoType, gsoSize, csumStart, csumOffset } });
    return DELIVERED.ACCEPTED;
  }

  pump(budget: number): number {
    const { frame } = this;
    const at = this.image.frameArea;
    let done = 0;
    for (; done < budget && this.waiting.length > 0; done++) {
      const { bytes, header } = this.waiting.shift()!;
      frame.memory.u8.set(bytes, at);
      frame.ranges.clear();
      frame.ranges.push(at, bytes.length);
      frame.end = 1;
      frame.length = bytes.length;
      frame.clearOffloads();
      Object.assign(frame, header ?? {});
      this.device!.receive(frame);
    }
    return done;
  }
}
