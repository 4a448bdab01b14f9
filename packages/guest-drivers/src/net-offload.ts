/**
 * What is still to be done to a frame, or is known of it: the fields of virtio 1.4 §5.1.9, struct virtio_net_hdr, under
 * their names. All zeros for a frame that is complete. Reused.
 */
export class NetOffload {
  /** `VIRTIO_NET_HDR_F`: NEEDS_CSUM, DATA_VALID (received frames), UDP_TUNNEL_CSUM. */
  flags = 0;
  /** `VIRTIO_NET_HDR_GSO`. */
  gsoType = 0;
  /** Bytes of all headers. Of a received frame a hint; of a frame to be sent the driver works it out. */
  hdrLen = 0;
  /** Payload bytes per segment. */
  gsoSize = 0;
  /** Where summing begins, and from there on where the sum goes; meaningful with NEEDS_CSUM. */
  csumStart = 0;
  csumOffset = 0;
  /** With a tunnel bit in gsoType: where the outer UDP header and the inner IP header start. */
  outerThOffset = 0;
  innerNhOffset = 0;
  /** With OUT_NET_HEADER: where the outer IP header starts; 0 for not said. */
  outerNhOffset = 0;
  /** With HASH_REPORT, of a received frame: the hash, and which one it is (`VIRTIO_NET_HASH_REPORT`). */
  hashValue = 0;
  hashReport = 0;

  clear(): this {
    this.flags = 0;
    this.gsoType = 0;
    this.hdrLen = 0;
    this.gsoSize = 0;
    this.csumStart = 0;
    this.csumOffset = 0;
    this.outerThOffset = 0;
    this.innerNhOffset = 0;
    this.outerNhOffset = 0;
    this.hashValue = 0;
    this.hashReport = 0;
    return this;
  }
}
