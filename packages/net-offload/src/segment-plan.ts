import { IpHeaders } from './frame-headers.js';

/** How a frame is to be cut up. */
export const CUT = {
  /** Not at all. */
  NONE: 0,
  /** Into TCP segments: virtio's TCPV4 and TCPV6. */
  TCP: 1,
  /** Into UDP datagrams: UDP_L4. */
  UDP: 2,
  /** Into IP fragments of one UDP datagram: UDP. */
  FRAGMENT: 3,
} as const;

/**
 * What is to be done to one frame, checked against its headers by {@link checkOffloads}; reused. Offsets are in bytes
 * from the frame's start.
 */
export class SegmentPlan {
  /** A `CUT`. */
  cut = 0;
  /** The IP headers next to the transport: inside a tunnel, the inner ones. */
  readonly ip: IpHeaders = new IpHeaders();
  /** The tunnel's UDP header, and `outer` the IP headers before it; 0: no tunnel. */
  outerUdp = 0;
  readonly outer: IpHeaders = new IpHeaders();
  /** Bytes that every segment begins with. */
  headerBytes = 0;
  /** Most bytes behind them. */
  size = 0;
  /** Segments, at least 1. */
  count = 0;
}
