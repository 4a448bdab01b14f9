import { VirtioError } from '@ringwire/virtio-spec';
import type { PciAccess } from '../access.js';
import type { Breakdown } from '../breakdown.js';
import type { DmaMemory } from '../dma-memory.js';
import type { Patience } from '../patience.js';
import type { MsixMessage } from '../transport.js';
import type { IxgbeFrame } from './ixgbe-offload.js';
import { needStation } from './mac-address.js';

/**
 * What a driver of an 82599's function tells its user. All are called from the driver's own methods. What a handler throws
 * comes out of `poll`, `watch` or `close`, whichever ends next, when the driver has done its work.
 */
export interface IxgbeEvents {
  /** A frame came in. It is good during the call. */
  frame(frame: IxgbeFrame): void;
  /** A frame that was sent with a cookie is done with: its memory is its sender's again. */
  sent?(cookie: number): void;
  /** A queue pair that was full has room again. */
  writable?(pair: number): void;
  link?(isUp: boolean): void;
}

/** What a virtual function's driver tells its user beside. */
export interface IxgbeVfEvents extends IxgbeEvents {
  /** The function was given up. With `again` it will be brought up again. */
  broken?(why: Breakdown, again: boolean): void;
  /** The function is up again, and accepts what it accepted before. */
  restarted?(): void;
}

/** Names of the events that the drivers of either function have. */
export const IXGBE_EVENTS: Readonly<Record<keyof IxgbeEvents, true>> = {
  frame: true,
  sent: true,
  writable: true,
  link: true,
};
/** Names of all events of a virtual function's driver. */
export const VF_EVENTS: Readonly<Record<keyof IxgbeVfEvents, true>> = {
  ...IXGBE_EVENTS,
  broken: true,
  restarted: true,
};

/** What the drivers of either function work with. */
export interface IxgbeSetup {
  readonly access: PciAccess;
  readonly dma: DmaMemory;
  /** A clock in milliseconds that never goes back. */
  readonly now: () => number;
  /** MSI-X messages that the host can receive, one per vector, at least one; the last one is the mailbox's. */
  readonly messages: readonly MsixMessage[];
  /** Bounds every wait. Its `pause` gives the card, and the driver at the mailbox's other end, a turn. */
  readonly patience?: Patience;
  /** Descriptors of each ring, a power of two from 64 to 4096; 256 when left out. */
  readonly queueSize?: number;
  /** Bytes of a receive buffer: 1024, 2048 or 4096; 2048 when left out. A longer frame lies in several. */
  readonly bufferBytes?: number;
  /** Pages for copies of frames to be sent, per queue pair, 17 or more; 64 when left out. */
  readonly copyPages?: number;
  /** Bytes behind the Ethernet header, 68 to 9710; 1500 when left out. */
  readonly mtu?: number;
  /** The station's address; the one that the card has for the function when left out. */
  readonly mac?: Uint8Array;
  /** Milliseconds without progress after which sending counts as stalled; 5000 when left out. */
  readonly transmitLimit?: number;
}

/** What a virtual function's driver works with. */
export interface IxgbeVfSetup extends IxgbeSetup {
  readonly events: IxgbeVfEvents;
  /** Queue pairs at most; 1 when left out. */
  readonly pairs?: number;
  /** Tries to bring the function up again, and milliseconds before the first; each next one is twice as long. */
  readonly recovery?: { readonly tries: number; readonly pause: number };
  /** 0 ≤ x < 1, for an address where the card has none. */
  readonly random?: () => number;
}

/** Values in place of those that were left out. */
export interface RingWishes {
  readonly queueSize: number;
  readonly bufferBytes: number;
  readonly copyPages: number;
  readonly mtu: number;
  readonly transmitLimit: number;
}

const LARGEST_FRAME_PAGES = 17;
const MTU = { LEAST: 68, MOST: 9710 } as const;

/** @throws VirtioError for what no driver can work with */
export function completeRings(setup: IxgbeSetup): RingWishes {
  const { queueSize = 256, bufferBytes = 2048, copyPages = 64, mtu = 1500, transmitLimit = 5000 } = setup;
  checkQueueSize(queueSize);
  if (![1024, 2048, 4096].includes(bufferBytes))
    throw new VirtioError('bufferBytes', bufferBytes, '1024, 2048 or 4096', '82599 datasheet §8.2.3.8');
  if (!Number.isInteger(copyPages) || copyPages < LARGEST_FRAME_PAGES)
    throw new VirtioError('copyPages', copyPages, `an integer from ${LARGEST_FRAME_PAGES} on`, 'IxgbeSetup');
  checkMtu(mtu);
  if (setup.messages.length === 0)
    throw new VirtioError('messages', 0, 'one MSI-X message at least: there is no interrupt line', 'PCI SR-IOV §2.2.3');
  if (setup.mac !== undefined) needStation(setup.mac);
  return { queueSize, bufferBytes, copyPages, mtu, transmitLimit };
}

/** @throws VirtioError for a ring that is none of this driver's */
export function checkQueueSize(size: number): void {
  const isPower = Number.isInteger(Math.log2(size));
  if (!isPower || size < 64 || size > 4096)
    throw new VirtioError('queueSize', size, 'a power of two from 64 to 4096', '82599 datasheet §8.2.3.8');
}

/** @throws VirtioError for an MTU that is none */
export function checkMtu(mtu: number): void {
  if (!Number.isInteger(mtu) || mtu < MTU.LEAST || mtu > MTU.MOST)
    throw new VirtioError('mtu', mtu, `an integer from ${MTU.LEAST} to ${MTU.MOST}`, '82599 datasheet §8.2.3.22');
}

/** Which vectors there are: one for each pair, or as many as there are, and the last one for everything else. */
export function planVectors(
  pairs: number,
  available: number,
): { readonly vectors: readonly number[]; readonly others: number } {
  const others = Math.min(pairs, available - 1);
  const forPairs = Math.max(1, others);
  return { vectors: Array.from({ length: pairs }, (_, pair) => pair % forPairs), others };
}
