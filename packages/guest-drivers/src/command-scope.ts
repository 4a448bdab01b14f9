import { hasFeature, VirtioError } from '@ringwire/virtio-spec';
import { type NetFeature, VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { CommandDone } from './control-queue.js';
import type { NetFacts } from './net-facts.js';

/** How a command ended: a `COMMAND` value. */
export type Done = (outcome: number) => void;

/** For callers who don't want to hear of it. */
export const ignore: Done = () => {};

/** Sends a command. @returns false when too many are on their way */
export type Request = (
  commandClass: number,
  command: number,
  data: Uint8Array,
  resultBytes: number,
  done: CommandDone,
) => boolean;

/** What commands may refer to, asked when one is made. */
export interface CommandScope {
  readonly features: Uint32Array;
  readonly facts: NetFacts;
  /** Queue pairs that were set up, and those of them in use. */
  readonly pairs: number;
  readonly activePairs: number;
  /** Virtqueue index of the control queue. */
  readonly controlIndex: number;
  now(): number;
  /** The number of pairs in use changes: `placed` when the command is in the ring, else when it was obeyed. */
  pairsChanged(pairs: number, placed: boolean): void;
  /** The station's address is another one. */
  addressChanged(mac: Uint8Array): void;
  refused(): void;
}

/** @throws VirtioError unless the feature is negotiated */
export function needFeature(features: Uint32Array, feature: NetFeature, section: string): void {
  if (hasFeature(features, VIRTIO_NET_F[feature])) return;
  throw new VirtioError(`VIRTIO_NET_F_${feature}`, 0, 'it negotiated for this command', `virtio 1.4 ${section}`);
}
