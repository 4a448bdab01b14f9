/** What a function's native data plane has done, and why it did not. */
export interface VendorBCounters {
  sent: number;
  sentBytes: number;
  /** Frames that the switch refused. */
  sendDropped: number;
  received: number;
  receivedBytes: number;
  /** Frames for somebody else. */
  filtered: number;
  /** Frames that came while there was no ring to receive into, or the function was suspended or without bus mastering. */
  stopped: number;
  /** Frames without a receive buffer, or without room for its completion. */
  noBuffer: number;
  /** Frames longer than the next buffer, or unfinished. */
  unfit: number;
  /** Work entries that were wrong. */
  badEntries: number;
  /** Doorbells of another generation, of queues that are not there, and writes that are none. */
  doorbellsIgnored: number;
  /** Rings and command buffers that cannot be used any more. */
  faults: number;
  resets: number;
}

export const newVendorBCounters = (): VendorBCounters => ({
  sent: 0,
  sentBytes: 0,
  sendDropped: 0,
  received: 0,
  receivedBytes: 0,
  filtered: 0,
  stopped: 0,
  noBuffer: 0,
  unfit: 0,
  badEntries: 0,
  doorbellsIgnored: 0,
  faults: 0,
  resets: 0,
});
