/**
 * Why a frame's offload fields do not fit the frame: it is given up, nothing of it leaves. Values are stable: they index
 * {@link OffloadCounters.faults}.
 */
export const OFFLOAD_FAULT = {
  NONE: 0,
  /** Shorter than an Ethernet header. */
  SHORT_FRAME: 1,
  /** The checksum field, csum_start + csum_offset, is not whole in the frame. */
  CSUM_OUTSIDE: 2,
  /** csum_start is in the Ethernet header, which no checksum covers and no driver may have altered. */
  CSUM_IN_ETHERNET: 3,
  /** The checksum field is not in the frame's first `HEADER_BYTES`. */
  CSUM_FAR: 4,
  /** gso_type is unknown, or has bits that don't go together. */
  GSO_TYPE: 5,
  /** gso_type without VIRTIO_NET_HDR_F_NEEDS_CSUM. */
  GSO_WITHOUT_CSUM: 6,
  /** gso_size is 0, below 8 for UDP fragments, or so small that the frame would become more than 1366. */
  GSO_SIZE: 7,
  /** The frame has not the headers that gso_type claims, or csum_start and csum_offset point elsewhere. */
  GSO_HEADERS: 8,
  /** The length in the IP or UDP header is not that of the frame. */
  GSO_LENGTH: 9,
  /** A tunnel bit or UDP_TUNNEL_CSUM in a combination that virtio 1.4 §5.1.9.2.2 refuses. */
  TUNNEL_FLAGS: 10,
  /** outer_th_offset or inner_nh_offset does not point to what it should. */
  TUNNEL_HEADERS: 11,
  /** Of another memory, and longer than any frame that virtio 1.4 §5.1.9.3 knows: it was not brought. */
  LONG_FRAME: 12,
} as const;

/** What an {@link OffloadEngine} counted since it was made. */
export interface OffloadCounters {
  /** Frames handed on as they came, offload fields and all. */
  asIs: number;
  /** Frames whose checksum was finished. */
  checksummed: number;
  /** Frames that were cut up, … */
  segmented: number;
  /** … and the frames that they became. */
  segments: number;
  /** Segments that a sink did not take, of frames of which it took others. */
  segmentsLost: number;
  /** Frames given up, per `OFFLOAD_FAULT` code. */
  readonly faults: Float64Array;
}

export function newOffloadCounters(): OffloadCounters {
  return {
    asIs: 0,
    checksummed: 0,
    segmented: 0,
    segments: 0,
    segmentsLost: 0,
    faults: new Float64Array(Object.keys(OFFLOAD_FAULT).length),
  };
}
