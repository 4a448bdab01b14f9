import type { NetBackend } from '@ringwire/net-backend';

/** What went through an uplink. `sent` is what the devices sent, `received` what came for them. */
export interface UplinkCounters<Reason extends string = string> {
  sent: number;
  sentBytes: number;
  received: number;
  receivedBytes: number;
  /** Frames and datagrams that were given up, by reason. */
  readonly drops: Record<Reason, number>;
}

/**
 * A way out of the process: the far end of one device's cable, or, with a port of a switch attached, of all that are
 * plugged into it. It has no thread: a loop waits for its descriptor and pumps it.
 */
export interface Uplink extends NetBackend {
  /** For people, such as `tap:tap0`. */
  readonly name: string;
  readonly counters: UplinkCounters;
  /** The largest MTU of devices whose frames it carries, as far as it is known; left out where there is no such limit. */
  readonly mtu?: number | undefined;
  /** To be waited for; -1 while there is nothing to wait for. */
  readonly fd: number;
  /** More of them. */
  readonly moreFds?: readonly number[];
  /** Why it ended by itself: its interface is gone. */
  readonly problem: string | undefined;
  /** A descriptor was found ready. */
  ready(): void;
  /** Nothing is sent or received any more. */
  close(): void;
}
