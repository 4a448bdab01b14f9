import {
  type Breakdown,
  isBreakdown,
  type NetDriver,
  type NetSetup,
  openNetDriver,
  type ReceivedFrame,
  SENT,
} from '@ringwire/guest-drivers';
import { gather } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame } from '@ringwire/net-backend';
import { ETHERNET, ETHERTYPE, VLAN_TAG } from '@ringwire/net-offload';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { type GuestNic, linesOf } from './guest-nic.js';
import type { PoolClassifier } from './pool-classifier.js';
import type { ReceiveTrace } from './receive-trace.js';

const { ACCEPTED } = DELIVERED;
const BUDGET = 64;
/** In the first byte of an address: it is a group's. */
const GROUP = 1;
/** Longer than any frame that a driver sends. */
const BYTES = 0x1_0000;

/**
 * What the host's driver accepts: no offloads, so that frames are complete, and no receive filter, so that frames to all guests'
 * addresses come.
 */
const FEATURES = featureWords([
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_NET_F.MAC,
  VIRTIO_NET_F.MTU,
  VIRTIO_NET_F.STATUS,
  VIRTIO_NET_F.MRG_RXBUF,
]);

/** What a path through a host is made of. */
export interface HostPathSetup {
  /**
   * Of the host's driver: the function's registers, and memory of the host's own. A port of a card's switch that the function is
   * has to be promiscuous, or it gets no frames for guests.
   */
  readonly driver: Omit<NetSetup, 'events' | 'features' | 'pairs'>;
  /** Where the host takes the function's interrupts, and does the rest. */
  readonly core: number;
  /** By pool. */
  readonly guests: readonly GuestNic[];
  /** The software switch. Left out where the card has sorted already and all frames are the only guest's (VMDq). */
  readonly classifier?: PoolClassifier;
  readonly trace?: ReceiveTrace;
}

/** What the path has done with frames. */
export interface HostPathCounters {
  /** Copies that guests took: a frame to a group is one for each. */
  delivered: number;
  /** Frames that are nobody's. */
  unknown: number;
  /** Copies that a guest had no room for. */
  lost: number;
  /** Frames from guests that left by the function. */
  sent: number;
  /** Frames from guests that the function had no room for, or that are too long for it. */
  unsent: number;
}

/** Take a function into use for all guests of a host. @returns the path, or what is wrong with the function */
export function openHostPath(setup: HostPathSetup): HostPath | Breakdown {
  const path = new HostPath(setup);
  const driver = openNetDriver({
    ...setup.driver,
    features: FEATURES,
    events: { frame: (frame) => path.received(frame) },
  });
  if (isBreakdown(driver)) return driver;
  path.driver = driver;
  return path;
}

/**
 * The path of frames through a host: the card writes them into the host's memory and interrupts the host; the host finds out
 * whose each is, copies it into the guest's memory, and interrupts the guest.
 */
export class HostPath {
  readonly counters: HostPathCounters = { delivered: 0, unknown: 0, lost: 0, sent: 0, unsent: 0 };
  /** The host's driver on the function; undefined until it is open. */
  driver: NetDriver | undefined = undefined;
  private readonly setup: HostPathSetup;
  private frame: Frame | undefined = undefined;
  /** A guest's frame on its way out. */
  private readonly bytes = new Uint8Array(BYTES);
  /** Guests that were copied to in this burst. */
  private readonly touched: Set<GuestNic> = new Set();

  /** @see openHostPath */
  constructor(setup: HostPathSetup) {
    this.setup = setup;
    for (const guest of setup.guests) guest.onTransmit = (frame) => this.transmit(frame, guest);
  }

  /** A message of the function's, for the host. */
  interrupt(vector: number): void {
    this.driver?.interrupt(vector);
  }

  /**
   * Do what interrupts asked for, then what guests sent.
   * @returns frames handled
   */
  turn(budget: number = BUDGET): number {
    const { driver } = this;
    let done = 0;
    while (driver?.needsPoll === true) done += driver.poll(budget);
    this.flush();
    for (const guest of this.setup.guests) done += guest.step(budget);
    this.flush();
    return done;
  }

  /** A frame out of the host's receive buffers. */
  received({ memory, ranges, length }: ReceivedFrame): void {
    const frame = this.frame ?? new Frame(memory);
    this.frame = frame;
    frame.memory = memory;
    frame.ranges = ranges;
    frame.end = ranges.count;
    frame.length = length;
    if (this.toGuests(frame, undefined) === 0) this.counters.unknown++;
  }

  /** @returns guests that it is for */
  private toGuests(frame: Frame, from: GuestNic | undefined): number {
    const { classifier, guests, core, trace } = this.setup;
    if (classifier === undefined) return this.toGuest(guests[0], frame, from);
    classifier.classify(frame);
    trace?.parse(core, classifier.headerBytes, linesOf(frame, classifier.headerBytes));
    let found = 0;
    for (let i = 0; i < classifier.count; i++) found += this.toGuest(guests[classifier.pools[i]!], frame, from);
    return found;
  }

  private toGuest(guest: GuestNic | undefined, frame: Frame, from: GuestNic | undefined): number {
    if (guest === undefined || guest === from) return 0;
    if (guest.deliver(frame, this.setup.core) === ACCEPTED) {
      this.counters.delivered++;
      this.touched.add(guest);
    } else this.counters.lost++;
    return 1;
  }

  /** A frame that a guest sends: to other guests, and out of the host unless it was for one of them alone. */
  private transmit(frame: Frame, from: GuestNic): Delivered {
    const { bytes } = this;
    const length = gather(frame.memory, frame.ranges, frame.first, frame.end - frame.first, bytes, frame.skip);
    const found = this.toGuests(frame, from);
    if (found > 0 && (bytes[0]! & GROUP) === 0) return ACCEPTED;
    if (this.uplink(length)) this.counters.sent++;
    else this.counters.unsent++;
    return ACCEPTED;
  }

  /** Send what was gathered. A guest's frame may be longer than what the function takes. @returns whether it left */
  private uplink(length: number): boolean {
    const { driver, bytes } = this;
    if (driver === undefined || length < ETHERNET.SIZE) return false;
    const type = (bytes[ETHERNET.type]! << 8) | bytes[ETHERNET.type + 1]!;
    const tag = type === ETHERTYPE.VLAN ? VLAN_TAG.SIZE : 0;
    if (length > Math.min(driver.mtu + ETHERNET.SIZE + tag, bytes.length - 1)) return false;
    return driver.sendBytes(bytes.subarray(0, length)) === SENT.OK;
  }

  private flush(): void {
    for (const guest of this.touched) guest.flush();
    this.touched.clear();
  }
}
