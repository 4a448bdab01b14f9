import type { Breakdown } from '../breakdown.js';
import { type IxgbeCounters, newIxgbeCounters } from './ixgbe-counters.js';
import type { MailboxEntry } from './pf-log.js';
import { IXGBE_EVENTS, type IxgbeEvents, type IxgbeSetup } from './vf-setup.js';

/** What a physical function's driver tells its user. All are called from the driver's own methods. */
export interface IxgbePfEvents extends IxgbeEvents {
  /** A virtual function's request was decided, or it was told something. */
  mailbox?(entry: MailboxEntry): void;
  /** A virtual function's queue was stopped because of what was in it: the function is shut off until it resets. */
  misbehaved?(vf: number, what: string): void;
  /** The card was given up. With `again` it was reset, and goes on. */
  broken?(why: Breakdown, again: boolean): void;
}

/** Names of all events. */
export const PF_EVENTS: Readonly<Record<keyof IxgbePfEvents, true>> = {
  ...IXGBE_EVENTS,
  mailbox: true,
  misbehaved: true,
  broken: true,
};

/** What a physical function's driver works with. */
export interface IxgbePfSetup extends IxgbeSetup {
  readonly events: IxgbePfEvents;
  /** Virtual functions that the host will have, 0 to 63: the card is shared out for them before they are enabled. */
  readonly vfs: number;
  /** Exchanges of the mailboxes that are kept, 1 or more; 256 when left out. */
  readonly logEntries?: number;
  /** 0 ≤ x < 1, for the key that frames are spread with. */
  readonly random?: () => number;
}

/** What happened to frames, and to virtual functions. */
export interface IxgbePfCounters extends IxgbeCounters {
  /** Requests of virtual functions. */
  requests: number;
  /** Those of them that were refused. */
  requestsRefused: number;
  /** Virtual functions that were reset, by their drivers or by PCI. */
  vfResets: number;
  /** Virtual functions that were shut off. */
  misbehaved: number;
  /** Frames that the card dropped because their source was not their sender's. */
  spoofed: number;
}

export const newIxgbePfCounters = (): IxgbePfCounters => ({
  ...newIxgbeCounters(),
  requests: 0,
  requestsRefused: 0,
  vfResets: 0,
  misbehaved: 0,
  spoofed: 0,
});
