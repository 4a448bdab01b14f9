import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_LIMITS } from '@ringwire/virtio-spec/net';
import type { FrontEndPatience } from './front-end-link.js';
import type { SharedRam } from './shared-ram.js';

/** How a {@link VhostUserTransport} is made. */
export interface FrontEndOptions {
  /** Path of the back-end's socket, or of ours with `listens`. */
  readonly path: string;
  /** Wait for back-ends to connect, rather than connect to them. */
  readonly listens?: boolean;
  /** All memory that the driver and its device share. */
  readonly ram: SharedRam;
  /** The station's address; the back-end's where it has a configuration, or none, when left out. */
  readonly mac?: Uint8Array;
  /** Told to the back-end, where it can be: 68 to 65535. */
  readonly mtu?: number;
  /** Queue pairs to offer at most, 1 to 128; 1 when left out. */
  readonly pairs?: number;
  /** Queue Size to offer, as no back-end says what it can: a power of two up to 32768; 1024 when left out. */
  readonly queueSizeMax?: number;
  /** Milliseconds within which a back-end has to answer each request; 5000 when left out. */
  readonly replyMs?: number;
  /** Milliseconds between two tries to reach a back-end that went; 1000 when left out. */
  readonly retryMs?: number;
  /** A clock in milliseconds that never goes back; the platform's when left out. */
  readonly now?: () => number;
  /** Called while a back-end is waited for, in place of blocking the thread. */
  readonly pause?: () => void;
}

/** {@link FrontEndOptions} without gaps. */
export interface FrontEndSettings extends FrontEndPatience {
  readonly path: string;
  readonly listens: boolean;
  readonly ram: SharedRam;
  readonly mac: Uint8Array | undefined;
  readonly mtu: number | undefined;
  readonly pairs: number;
  readonly queueSizeMax: number;
  readonly retryMs: number;
}

/** @throws VirtioError for what no front-end can be */
export function frontEndSettings(options: FrontEndOptions): FrontEndSettings {
  const { mac, mtu, pairs = 1, queueSizeMax = 1024 } = options;
  const within = (field: string, value: number, least: number, most: number, spec: string): void => {
    if (!Number.isInteger(value) || value < least || value > most)
      throw new VirtioError(field, value, `an integer from ${least} to ${most}`, spec);
  };
  within('pairs', pairs, 1, 128, 'vhost-user: rings have numbers of 8 bits');
  within('queueSizeMax', queueSizeMax, 1, 32768, 'virtio 1.4 §2.7');
  const { min, max } = VIRTIO_NET_CONFIG_LIMITS.mtu;
  if (mtu !== undefined) within('mtu', mtu, min, max, 'virtio 1.4 §5.1.4.1');
  if (mac !== undefined && mac.length !== 6) throw new VirtioError('mac', mac.length, '6 bytes', 'virtio 1.4 §5.1.4');
  return {
    path: options.path,
    listens: options.listens ?? false,
    ram: options.ram,
    mac,
    mtu,
    pairs,
    queueSizeMax,
    replyMs: options.replyMs ?? 5000,
    retryMs: options.retryMs ?? 1000,
    now: options.now ?? (() => performance.now()),
    pause: options.pause,
  };
}
