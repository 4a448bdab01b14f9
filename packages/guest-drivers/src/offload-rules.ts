import {
  hasFeature,
  VIRTIO_NET_F,
  VIRTIO_NET_HDR_F,
  VIRTIO_NET_HDR_GSO,
  virtioNetHdrBytes,
} from '@ringwire/virtio-spec';

/** What the negotiated features allow in a header, worked out once: the only place where they are asked. */
export interface OffloadRules {
  /** Bytes of struct virtio_net_hdr, for both directions. */
  readonly hdrBytes: number;
  readonly transmit: DirectionRules;
  readonly receive: DirectionRules;
  readonly hashReport: boolean;
  readonly outNetHeader: boolean;
}

interface DirectionRules {
  /** Bits of `flags` that mean something. */
  readonly flags: number;
  /** Bit n stands for segmentation type n. */
  readonly types: number;
  /** Of UDP_TUNNEL_IPV4, UDP_TUNNEL_IPV6 and ECN, those that mean something. */
  readonly typeBits: number;
}

const F = VIRTIO_NET_F;
const { TCPV4, TCPV6, UDP, UDP_L4, UDP_TUNNEL_IPV4, UDP_TUNNEL_IPV6, ECN } = VIRTIO_NET_HDR_GSO;

/** Both bits that say that what is to be segmented is in a UDP tunnel. */
export const TUNNEL_BITS: number = UDP_TUNNEL_IPV4 | UDP_TUNNEL_IPV6;

/** `gso_type` without the bits that go with a type. */
export const segmentationType = (gsoType: number): number => gsoType & ~(TUNNEL_BITS | ECN);

/** @param features the negotiated ones */
export function offloadRules(features: Uint32Array): OffloadRules {
  const has = (bit: number): boolean => hasFeature(features, bit);
  const either = (bit: boolean, value: number): number => (bit ? value : 0);
  return {
    hdrBytes: virtioNetHdrBytes(features),
    transmit: {
      flags:
        either(has(F.CSUM), VIRTIO_NET_HDR_F.NEEDS_CSUM) |
        either(has(F.HOST_UDP_TUNNEL_GSO_CSUM), VIRTIO_NET_HDR_F.UDP_TUNNEL_CSUM),
      types:
        either(has(F.HOST_TSO4), 1 << TCPV4) |
        either(has(F.HOST_TSO6), 1 << TCPV6) |
        either(has(F.HOST_UFO), 1 << UDP) |
        either(has(F.HOST_USO), 1 << UDP_L4),
      typeBits: either(has(F.HOST_ECN), ECN) | either(has(F.HOST_UDP_TUNNEL_GSO), TUNNEL_BITS),
    },
    receive: {
      flags:
        either(has(F.GUEST_CSUM), VIRTIO_NET_HDR_F.NEEDS_CSUM | VIRTIO_NET_HDR_F.DATA_VALID) |
        either(has(F.GUEST_UDP_TUNNEL_GSO_CSUM), VIRTIO_NET_HDR_F.UDP_TUNNEL_CSUM),
      types:
        either(has(F.GUEST_TSO4), 1 << TCPV4) |
        either(has(F.GUEST_TSO6), 1 << TCPV6) |
        either(has(F.GUEST_UFO), 1 << UDP) |
        either(has(F.GUEST_USO4) || has(F.GUEST_USO6), 1 << UDP_L4),
      typeBits: either(has(F.GUEST_ECN), ECN) | either(has(F.GUEST_UDP_TUNNEL_GSO), TUNNEL_BITS),
    },
    hashReport: has(F.HASH_REPORT),
    outNetHeader: has(F.OUT_NET_HEADER),
  };
}
