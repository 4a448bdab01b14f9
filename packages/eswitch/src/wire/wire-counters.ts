/** What passed a card's wire. Frames that are still to be cut up count once, bytes are from the destination addresses on. */
export interface WireCounters {
  /** From the card, and to it. */
  fromCard: number;
  toCard: number;
  /** To the other end of the cable, and from it: PAUSE among them. */
  sentFrames: number;
  sentBytes: number;
  receivedFrames: number;
  receivedBytes: number;
  /** PAUSE frames that were sent, and of these those that said to go on. */
  pausesSent: number;
  resumesSent: number;
  /** PAUSE frames that came, of these those that said to go on, and those that were not heeded: it was not agreed on. */
  pausesReceived: number;
  resumesReceived: number;
  pausesIgnored: number;
  readonly drops: WireDrops;
}

/** Frames that were lost at the wire, by reason. */
export interface WireDrops {
  /** They were on the cable, or waited for it, when the link went. */
  link: number;
  /** The other end has no room, or does not want them. */
  otherEnd: number;
  /** The receive buffer is full. */
  buffer: number;
  /** MAC control that is not known, or not for this station. IEEE 802.3 §31.5.3 */
  control: number;
  /** The switch does not want them: it counts why, at its own port. */
  card: number;
}

/** The reasons in words. */
export const WIRE_DROP_TEXT: Readonly<Record<keyof WireDrops, string>> = {
  link: 'the link is down',
  otherEnd: 'the other end of the cable does not take it',
  buffer: 'the receive buffer is full',
  control: 'MAC control that is not known, or not for this station',
  card: 'the switch does not want it',
};

export function newWireCounters(): WireCounters {
  return {
    fromCard: 0,
    toCard: 0,
    sentFrames: 0,
    sentBytes: 0,
    receivedFrames: 0,
    receivedBytes: 0,
    pausesSent: 0,
    resumesSent: 0,
    pausesReceived: 0,
    resumesReceived: 0,
    pausesIgnored: 0,
    drops: { link: 0, otherEnd: 0, buffer: 0, control: 0, card: 0 },
  };
}

/**
 * Frames that are unaccounted for at a wire: what came, from both sides, without what went out, was lost for a reason, was
 * a PAUSE, or waits. 0 at any time between two calls.
 */
export function unaccountedWireFrames(wire: { readonly counters: WireCounters; readonly waiting: number }): number {
  const { counters, waiting } = wire;
  const { link, otherEnd, buffer, control, card } = counters.drops;
  const came = counters.fromCard + counters.pausesSent + counters.receivedFrames;
  return (
    came -
    (counters.sentFrames + counters.toCard + counters.pausesReceived) -
    (link + otherEnd + buffer + control + card) -
    waiting
  );
}
