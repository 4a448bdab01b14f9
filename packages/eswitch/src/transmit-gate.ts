import { DELIVERED, type Delivered } from '@ringwire/net-backend';

/** Whom a frame is for, as far as limits on floods go. */
export const FRAME_KIND = {
  /** One station, which the switch knows. */
  UNICAST: 0,
  BROADCAST: 1,
  MULTICAST: 2,
  /** One station that the switch does not know. */
  UNKNOWN: 3,
} as const;
/** One of {@link FRAME_KIND}. */
export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND];

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
   * @returns ACCEPTED: it goes, and was charged. FULL: not now, the frame stays with its sender. DROPPED: more of its kind
   *          than the port may send; it goes nowhere
   */
  admit(port: number, frames: number, bytes: number, toWire: boolean, kind: FrameKind): Delivered;
  /**
   * A port's burst is over: it has nothing more to send now, or was turned away. The switch says so when the port is
   * flushed, whether it asked or not.
   */
  endTurn(port: number): void;
  /** When a port that was turned away in its last turn is to ask again, in µs of the switch's clock; Infinity when it was not. */
  deadline(port: number): number;
  /** What is set for a port: when it comes to be, and with each change. Mbit/s; 0: no limit, and nothing kept for it. */
  setRates(port: number, maxTxRate: number, minTxRate: number): void;
  /** The port is reset, or gone: it waits for nothing. */
  forget(port: number): void;
}

/** Everything may leave at once. */
export const OPEN_GATE: TransmitGate = {
  admit: () => DELIVERED.ACCEPTED,
  endTurn: () => {},
  deadline: () => Number.POSITIVE_INFINITY,
  setRates: () => {},
  forget: () => {},
};
