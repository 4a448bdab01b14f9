import { DELIVERED, type Delivered, type Frame, type FrameRun, type FrameSink, OFFLOAD } from '@ringwire/net-backend';
import { CHECKSUMS, OFFLOAD_FAULT, type OffloadEngine, verifyChecksums } from '@ringwire/net-offload';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { vlanIdOf } from './frame-bytes.js';
import { type FrameTrace, NO_DROP } from './frame-trace.js';
import type { GuestOffloads } from './guest-offloads.js';
import { NET_DROP } from './net-drop.js';
import { BAD_CHECKSUM, handedFlags, handedPair, handedReport, type RxQueue } from './net-rx.js';
import { ETHERNET_HEADER_BYTES, GSO_FRAME_BYTES_MAX, type NetState, VLAN_TAG_BYTES } from './net-state.js';
import type { RxFilter } from './rx-filter.js';
import { FILTERED, type Steering } from './steering.js';

const { ACCEPTED, DROPPED } = DELIVERED;
const HDR_F = VIRTIO_NET_HDR_F;
const WORK = HDR_F.NEEDS_CSUM | HDR_F.UDP_TUNNEL_CSUM;

/**
 * What a frame goes through before it lies in a receive queue: limits, filters, offloads that the driver does not take,
 * steering. The order is that of virtio 1.4 §5.1.9.6.1.
 */
export class RxPath {
  readonly engine: OffloadEngine;
  private readonly state: NetState;
  private readonly trace: FrameTrace | undefined;
  private readonly filter: RxFilter;
  private readonly steering: Steering;
  private readonly guest: GuestOffloads;
  private readonly queues: readonly RxQueue[];
  private readonly validates: boolean;
  private readonly finished: FinishedFrames;
  private readonly handed = { hashValue: 0, hashReport: 0 };

  /**
   * @param engine    its own
   * @param validates received checksums are checked for drivers with GUEST_CSUM
   */
  constructor(
    state: NetState,
    filter: RxFilter,
    steering: Steering,
    guest: GuestOffloads,
    queues: readonly RxQueue[],
    engine: OffloadEngine,
    validates: boolean,
  ) {
    this.state = state;
    this.trace = state.trace;
    this.filter = filter;
    this.steering = steering;
    this.guest = guest;
    this.queues = queues;
    this.validates = validates;
    this.engine = engine;
    this.finished = new FinishedFrames(this, guest);
  }

  receive(frame: Frame): Delivered {
    const { state } = this;
    if (!state.linkUp) return this.drop(frame, NET_DROP.RX_LINK_DOWN);
    if (frame.length < ETHERNET_HEADER_BYTES) return this.drop(frame, NET_DROP.RX_SHORT_FRAME);
    const refusal = this.filter.refusal(frame);
    if (refusal >= 0) return this.drop(frame, refusal);
    if ((frame.flags & WORK) !== 0 || frame.gsoType !== 0) return this.receiveOffloaded(frame);
    if (!this.fits(frame)) return this.drop(frame, NET_DROP.RX_LONG_FRAME);
    if (this.validates && (this.guest.offloads & OFFLOAD.CSUM) !== 0) return this.validate(frame);
    return this.deliver(frame, frame.flags & HDR_F.DATA_VALID);
  }

  /**
   * The same for the first frames of a run, as long as there is nothing to be decided about them.
   * @returns frames that lie in their buffers
   */
  receiveRun(run: FrameRun): number {
    const { state, queues } = this;
    const validates = this.validates && (this.guest.offloads & OFFLOAD.CSUM) !== 0;
    const isPlain = this.filter.admitsRun(run) && this.steering.isIdle && !validates && this.trace === undefined;
    if (!isPlain || !state.linkUp) return 0;
    return queues[0]!.placeRun(run, ETHERNET_HEADER_BYTES, ETHERNET_HEADER_BYTES + state.mtu);
  }

  /**
   * Steer a frame that is as the driver takes it.
   * @param flags  for its header, as far as the driver takes any
   * @param isRest as for {@link RxQueue.place}
   */
  deliver(frame: Frame, flags: number, isRest = false): Delivered {
    const { steering } = this;
    const pair = steering.pick(frame, this.queues);
    if (pair < 0) return this.drop(frame, pair === FILTERED ? NET_DROP.RX_FLOW_FILTER : NET_DROP.RX_QUEUE_OFF);
    const taken = (this.guest.offloads & OFFLOAD.CSUM) === 0 ? 0 : flags;
    const delivered = this.queues[pair]!.place(frame, taken, steering, isRest);
    if (this.trace !== undefined && delivered === ACCEPTED) this.trace.received(pair, frame, NO_DROP);
    return delivered;
  }

  /** A frame that another thread received and steered to a queue of this one, by the rules that hold. */
  takeHanded(frame: Frame, note: number, value: number): Delivered {
    this.handed.hashValue = value >>> 0;
    this.handed.hashReport = handedReport(note);
    return this.queues[handedPair(note)]!.place(frame, handedFlags(note), this.handed);
  }

  private receiveOffloaded(frame: Frame): Delivered {
    const { engine } = this;
    if (frame.gsoType === VIRTIO_NET_HDR_GSO.NONE ? !this.fits(frame) : frame.length > GSO_FRAME_BYTES_MAX)
      return this.drop(frame, NET_DROP.RX_LONG_FRAME);
    if (engine.take(frame) !== OFFLOAD_FAULT.NONE) return this.drop(frame, NET_DROP.RX_BAD_OFFLOAD);
    this.finished.begin();
    return engine.deliver(this.finished);
  }

  /** Check a frame's checksums before the driver is told that they are right. */
  private validate(frame: Frame): Delivered {
    const { engine } = this;
    // Without offload fields there is nothing to be refused; what is checked is the copy that is delivered.
    engine.take(frame);
    const checksums = verifyChecksums(engine.frame, engine.headersAt, engine.headers);
    if (checksums === CHECKSUMS.BAD) return this.deliver(engine.frame, BAD_CHECKSUM);
    return this.deliver(engine.frame, checksums === CHECKSUMS.GOOD ? HDR_F.DATA_VALID : 0);
  }

  /** virtio 1.4 §5.1.4.1: the MTU, an Ethernet header, and a VLAN tag where there is one. */
  private fits(frame: Frame): boolean {
    const over = frame.length - ETHERNET_HEADER_BYTES - this.state.mtu;
    return over <= 0 || (over <= VLAN_TAG_BYTES && vlanIdOf(frame) >= 0);
  }

  /** Before a queue is chosen, a frame is lost to the device as a whole. */
  private drop(frame: Frame, reason: number): Delivered {
    this.state.drop(reason);
    this.trace?.received(-1, frame, reason);
    return DROPPED;
  }
}

/** Where frames go that were finished as far as the driver needs it. */
class FinishedFrames implements FrameSink {
  private readonly path: RxPath;
  private readonly guest: GuestOffloads;
  /** A part of the frame is in a ring. */
  private isRest = false;

  constructor(path: RxPath, guest: GuestOffloads) {
    this.path = path;
    this.guest = guest;
  }

  get offloads(): number {
    return this.guest.offloads;
  }

  /** Another frame comes, whole or in parts. */
  begin(): void {
    this.isRest = false;
  }

  receive(frame: Frame): Delivered {
    const delivered = this.path.deliver(frame, frame.flags & WORK, this.isRest);
    if (delivered === ACCEPTED) this.isRest = true;
    return delivered;
  }
}
