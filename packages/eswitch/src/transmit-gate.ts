/**
 * Says when a port may send: what a rate limit, a busy wire, and others that wait as well come to. The switch asks behind
 * all checks, so that what is let through is sent.
 */
export interface TransmitGate {
  /**
   * @param port number of the port that sends
   * @param frames as many as one large frame becomes on the wire
   * @param bytes of all of them, from the destination addresses on, without check sequences
   * @param toWire whether a copy leaves by the wire
   * @returns false: not now, the frame stays with its sender. true: it goes, and was charged.
   */
  admit(port: number, frames: number, bytes: number, toWire: boolean): boolean;
  /** When one of those that were turned away is to ask again, in µs of the switch's clock; Infinity when none was. */
  deadline(): number;
}

/** Everything may leave at once. */
export const OPEN_GATE: TransmitGate = { admit: () => true, deadline: () => Number.POSITIVE_INFINITY };
