import { type NetCounters, newNetCounters } from '../net-counters.js';

/** What happened to frames and to the mailbox. */
export interface IxgbeCounters extends NetCounters {
  /** Received frames that the card said are damaged: given up. */
  rxErrors: number;
  /** Received frames with a checksum that the card found wrong: handed up, not as valid. */
  rxBadChecksum: number;
  /** Requests that the physical function refused, or did not know. */
  mailboxRefused: number;
  /** Requests without an answer in the time given. */
  mailboxUnanswered: number;
  /** Times that the physical function took away what it had granted: it was reset, or wants this function to begin anew. */
  pfResets: number;
}

export const newIxgbeCounters = (): IxgbeCounters => ({
  ...newNetCounters(),
  rxErrors: 0,
  rxBadChecksum: 0,
  mailboxRefused: 0,
  mailboxUnanswered: 0,
  pfResets: 0,
});
