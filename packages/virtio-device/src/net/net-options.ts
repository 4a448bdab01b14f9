import type { HostMemory } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { isVirtqSize, VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_LIMITS, VIRTIO_NET_DUPLEX, VIRTIO_NET_SPEED } from '@ringwire/virtio-spec/net';
import type { FrameTrace } from './frame-trace.js';
import type { NetFeatureOptions } from './net-features.js';
import type { NetJournal } from './net-journal.js';
import type { NetPolicy } from './net-policy.js';
import type { NetParts, NetShare } from './net-share.js';

/** How a {@link NetDevice} is made. */
export interface NetDeviceOptions extends NetFeatureOptions {
  /** The memory that the guest's RAM and `scratch` lie in. Frames from elsewhere may lie in others. */
  readonly memory: HostMemory;
  /**
   * Host memory of the device's own, for frames that it finishes in software: {@link NET_SCRATCH_BYTES} of it. Left out,
   * where the memory is all the guest's: such frames are then copied into a memory of the device's own.
   */
  readonly scratch?: number;
  readonly backend: NetBackend;
  /** 6 bytes: a station's address, not zero. */
  readonly mac: Uint8Array;
  /** Most pairs of receive and transmit queues, 1 to 32768; 1 unless given. */
  readonly pairs?: number;
  /** Bytes of a packet behind its Ethernet header, 68 to 65535, in both directions; 1500 unless given. */
  readonly mtu?: number;
  /** Mbit/s, 0 to 0x7fffffff; unknown unless given. */
  readonly speed?: number;
  /** `VIRTIO_NET_DUPLEX`; unknown unless given. */
  readonly duplex?: number;
  /** Queue Sizes to offer: 256, 256 and 64 unless given. */
  readonly rxQueueSize?: number;
  readonly txQueueSize?: number;
  readonly controlQueueSize?: number;
  /** A frame for which the driver has no buffer is left to the backend (FULL), rather than dropped and counted. */
  readonly holdWhenFull?: boolean;
  /**
   * Steps without a frame to send, each of which asks for another one, before the driver is asked to notify; 0 unless
   * given. For a device that is stepped in a loop of its own: notifications cost both sides more than looking does.
   */
  readonly pollTurns?: number;
  /** Check received checksums and say so (DATA_VALID), for drivers with GUEST_CSUM. */
  readonly validateChecksums?: boolean;
  /** Addresses that each list of the MAC table holds, 64 unless given; with more, all of that kind pass. */
  readonly macTableEntries?: number;
  /** RSS contexts besides the default configuration, 1 to 65535; 8 unless given. */
  readonly rssContexts?: number;
  /** This one serves only some of the pairs, or none: others, in other threads, serve the rest. */
  readonly share?: NetShare;
  readonly parts?: NetParts;
  /** Decides what the driver may have of what it asks for by commands; it has everything unless given. */
  readonly policy?: NetPolicy;
  /**
   * Knows what was delivered when this device goes on for another one; nobody unless given. The backend then has to see what
   * was sent before its buffers are used: it is flushed for that.
   */
  readonly journal?: NetJournal;
  /** Is told of every frame and its fate, such as a `PcapngTrace`; nobody unless given. */
  readonly trace?: FrameTrace;
}

/** {@link NetDeviceOptions} with nothing left open. */
export type NetDeviceSettings = Required<
  Omit<NetDeviceOptions, FeatureOption | 'scratch' | 'trace' | 'share' | 'parts' | 'policy' | 'journal'>
>;

/** Options that only decide what is offered. */
type FeatureOption = Exclude<keyof NetFeatureOptions, 'externalControl'>;

const SPEC = 'virtio 1.4 §5.1.4';

/** @throws VirtioError for what no device can be */
export function settingsOf(options: NetDeviceOptions): NetDeviceSettings {
  const { mtu: mtus, max_virtqueue_pairs: pairs } = VIRTIO_NET_CONFIG_LIMITS;
  const settings: NetDeviceSettings = {
    memory: options.memory,
    backend: options.backend,
    mac: options.mac.slice(),
    pairs: within('pairs', options.pairs ?? 1, pairs.min, pairs.max),
    mtu: within('mtu', options.mtu ?? 1500, mtus.min, mtus.max),
    speed: checkedSpeed(options.speed ?? VIRTIO_NET_SPEED.UNKNOWN),
    duplex: checkedDuplex(options.duplex ?? VIRTIO_NET_DUPLEX.UNKNOWN),
    rxQueueSize: queueSize('rxQueueSize', options.rxQueueSize ?? 256),
    txQueueSize: queueSize('txQueueSize', options.txQueueSize ?? 256),
    controlQueueSize: queueSize('controlQueueSize', options.controlQueueSize ?? 64),
    holdWhenFull: options.holdWhenFull ?? false,
    pollTurns: within('pollTurns', options.pollTurns ?? 0, 0, 0x7fff_ffff),
    validateChecksums: options.validateChecksums ?? false,
    externalControl: options.externalControl ?? false,
    macTableEntries: within('macTableEntries', options.macTableEntries ?? 64, 0, 4096),
    rssContexts: within('rssContexts', options.rssContexts ?? 8, 1, 0xffff),
  };
  checkMac(settings.mac);
  return settings;
}

export function checkedSpeed(speed: number): number {
  return speed === VIRTIO_NET_SPEED.UNKNOWN ? speed : within('speed', speed, 0, VIRTIO_NET_SPEED.MAX);
}

export function checkedDuplex(duplex: number): number {
  if (Object.values<number>(VIRTIO_NET_DUPLEX).includes(duplex)) return duplex;
  throw new VirtioError('duplex', duplex, 'a VIRTIO_NET_DUPLEX', SPEC);
}

/** Whether an address can be a station's: not a group's, not zero. */
export const isStationMac = (mac: Uint8Array): boolean =>
  mac.length === 6 && (mac[0]! & 1) === 0 && mac.some((byte) => byte !== 0);

/** @throws VirtioError for what is no station's address */
export function checkMac(mac: Uint8Array): void {
  if (isStationMac(mac)) return;
  const text = Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  throw new VirtioError('mac', text, '6 bytes of a station: no multicast, not zero', SPEC);
}

function within(field: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new VirtioError(field, value, `${min} to ${max}`, SPEC);
}

/** Offered to split rings too, which want powers of two. */
function queueSize(field: string, size: number): number {
  if (isVirtqSize(size)) return size;
  throw new VirtioError(field, size, 'a power of two ≤ 32768', 'virtio 1.4 §2.7');
}
