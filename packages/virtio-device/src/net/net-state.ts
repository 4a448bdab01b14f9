import type { HostMemory } from '@ringwire/guest-memory';
import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, virtioNetHdrBytes } from '@ringwire/virtio-spec/net';
import type { DevicePort } from '../device-model.js';
import type { FrameTrace } from './frame-trace.js';
import { NET_DROP_CODES } from './net-drop.js';
import { NO_FEATURES } from './net-features.js';
import type { NetJournal } from './net-journal.js';
import type { NetParts, NetShare } from './net-share.js';

/** virtio 1.4 §5.1.9.3: 14 bytes of Ethernet header. */
export const ETHERNET_HEADER_BYTES = 14;
/** An 802.1Q tag makes a frame so much longer without making its payload longer. */
export const VLAN_TAG_BYTES = 4;
/** virtio 1.4 §5.1.9.3: the largest frame that is still to be segmented, with two VLAN tags more. */
export const GSO_FRAME_BYTES_MAX: number = 65589 + 2 * VLAN_TAG_BYTES;

interface NetStateOptions {
  readonly trace?: FrameTrace | undefined;
  readonly share?: NetShare | undefined;
  readonly parts?: NetParts | undefined;
  readonly journal?: NetJournal | undefined;
}

/** What the parts of a network device share: what was negotiated, worked out once, and the way out. */
export class NetState {
  readonly memory: HostMemory;
  /** Frames, buffers and commands that were given up, by `NET_DROP` code. */
  readonly drops: Float64Array = new Float64Array(NET_DROP_CODES);
  /** The MTU, which holds whether the driver negotiated to be told or not. */
  mtu: number;
  /** Who is told of frames, if anybody. */
  readonly trace: FrameTrace | undefined;
  /** Undefined while the device does not run. */
  port: DevicePort | undefined = undefined;
  linkUp = true;
  features: Uint32Array = NO_FEATURES;
  /** Bytes of struct virtio_net_hdr, for both directions: the one place. */
  headerBytes = 0;
  mergeable = false;
  /** Virtqueue index of the control queue, or -1. */
  controlIndex = -1;
  /** Pairs that there are queues for: 1 unless MQ or RSS was negotiated. */
  pairsMax = 1;
  /** Control commands since the start, which change where frames go: the same in all threads of a device. */
  epoch = 0;
  /** When to offer a frame again that another thread had no room for, in µs. */
  retryAt: number = Number.POSITIVE_INFINITY;

  /** Set where other threads serve some of the pairs, or all of them. */
  readonly share: NetShare | undefined;
  readonly parts: NetParts | undefined;
  /** Set where the device's thread may be ended at any moment and another one goes on. */
  readonly journal: NetJournal | undefined;

  constructor(memory: HostMemory, mtu: number, { trace, share, parts, journal }: NetStateOptions = {}) {
    this.journal = journal;
    this.share = share;
    this.parts = parts;
    this.memory = memory;
    this.mtu = mtu;
    this.trace = trace;
  }

  /** @param pairs most pairs of the device */
  start(port: DevicePort, pairs: number): void {
    const { features } = port;
    const hasPairs = hasFeature(features, VIRTIO_NET_F.MQ) || hasFeature(features, VIRTIO_NET_F.RSS);
    this.port = port;
    this.epoch = 0;
    this.features = features;
    this.headerBytes = virtioNetHdrBytes(features);
    this.mergeable = hasFeature(features, VIRTIO_NET_F.MRG_RXBUF);
    this.pairsMax = hasPairs ? pairs : 1;
    this.controlIndex = hasFeature(features, VIRTIO_NET_F.CTRL_VQ) ? 2 * this.pairsMax : -1;
  }

  stop(): void {
    this.port = undefined;
    this.features = NO_FEATURES;
    this.controlIndex = -1;
  }

  /** Whether this thread serves a pair. */
  serves(pair: number): boolean {
    return this.parts === undefined && (this.share === undefined || this.share.serves(pair));
  }

  /** Whether a feature was negotiated. */
  has(feature: number): boolean {
    return hasFeature(this.features, feature);
  }

  drop(reason: number): void {
    this.drops[reason]!++;
  }
}
