import { VirtioError } from '@ringwire/virtio-spec';
import type { AdminWishes } from './admin-port.js';
import type { Breakdown } from './breakdown.js';
import type { DmaMemory } from './dma-memory.js';
import type { Patience } from './patience.js';
import type { ReceivedFrame } from './received-frame.js';
import { LARGEST_HEADER } from './rx-header.js';
import type { MsixMessage, Transport } from './transport.js';

/**
 * What a network driver tells its user. All are called from the driver's own methods, never from elsewhere. What a handler
 * throws comes out of `poll`, `watch` or `close`, whichever ends next, when the driver has done its work.
 */
export interface NetEvents {
  /** A frame came in. It is good during the call. */
  frame(frame: ReceivedFrame): void;
  /** A frame that was sent with a cookie is done with: its memory is its sender's again. */
  sent?(cookie: number): void;
  /** A queue pair that was full has room again. */
  writable?(pair: number): void;
  link?(isUp: boolean): void;
  /** The device asked for an announcement; the driver has sent one for its address. */
  announce?(): void;
  /** The device was given up. With `again` it will be brought up again. */
  broken?(why: Breakdown, again: boolean): void;
  /** The device is up again: receive modes, filters, offloads and coalescing are as after a reset. */
  restarted?(): void;
}

/** Names of all events. */
export const NET_EVENTS: Readonly<Record<keyof NetEvents, true>> = {
  frame: true,
  sent: true,
  writable: true,
  link: true,
  announce: true,
  broken: true,
  restarted: true,
};

/** What a network driver works with. */
export interface NetSetup {
  readonly transport: Transport;
  readonly dma: DmaMemory;
  readonly events: NetEvents;
  /** A clock in milliseconds that never goes back. */
  readonly now: () => number;
  /** MSI-X messages that the host can receive, one per vector; without any there is one interrupt line. */
  readonly messages?: readonly MsixMessage[];
  readonly patience?: Patience;
  /** Feature words to choose from; all that the driver knows when left out. */
  readonly features?: Uint32Array;
  /** Queue pairs at most; 1 when left out. */
  readonly pairs?: number;
  /** Queue Size at most; 256 when left out. */
  readonly queueSize?: number;
  /** The station's address; the device's when left out. */
  readonly mac?: Uint8Array;
  /** Bytes of a mergeable receive buffer; 4096 when left out. */
  readonly mergeableBytes?: number;
  /** Bytes that the buffers of one receive queue may take; 4 MiB when left out. */
  readonly receiveBytes?: number;
  /** Pages for copies of frames to be sent, per queue pair, 17 or more; 64 when left out. */
  readonly copyPages?: number;
  /** Milliseconds without progress after which a transmit queue is reset; 5000 when left out. */
  readonly transmitLimit?: number;
  /** Milliseconds after which a command counts as unanswered; 5000 when left out. */
  readonly commandLimit?: number;
  /** Tries to bring a device up again that asked for a reset, and milliseconds before the first; each next one is twice as long. */
  readonly recovery?: { readonly tries: number; readonly pause: number };
  /** Use an administration virtqueue, where the device has one; not unless given. */
  readonly admin?: AdminWishes;
  /** 0 ≤ x < 1, for an address where the device has none. */
  readonly random?: () => number;
}

/** A setup without gaps. */
export type FullNetSetup = Required<Omit<NetSetup, 'patience' | 'features' | 'mac' | 'admin'>> &
  Pick<NetSetup, 'patience' | 'features' | 'mac' | 'admin'>;

const LARGEST_FRAME_PAGES = 17;

/** @throws VirtioError for a setup that no driver can work with */
export function completeNetSetup(setup: NetSetup): FullNetSetup {
  const full = {
    messages: [],
    pairs: 1,
    queueSize: 256,
    mergeableBytes: 4096,
    receiveBytes: 4 * 1024 * 1024,
    copyPages: 64,
    transmitLimit: 5000,
    commandLimit: 5000,
    recovery: { tries: 5, pause: 100 },
    random: Math.random,
    ...setup,
  };
  const atLeast = (
    field: 'pairs' | 'queueSize' | 'mergeableBytes' | 'copyPages',
    least: number,
    spec: string,
  ): void => {
    if (!Number.isInteger(full[field]) || full[field] < least)
      throw new VirtioError(field, full[field], `an integer from ${least} on`, spec);
  };
  atLeast('pairs', 1, 'virtio 1.4 §5.1.4');
  atLeast('queueSize', 1, 'virtio 1.4 §2.6');
  atLeast('mergeableBytes', LARGEST_HEADER, 'virtio 1.4 §5.1.9.3.1');
  atLeast('copyPages', LARGEST_FRAME_PAGES, 'NetSetup');
  return full;
}
