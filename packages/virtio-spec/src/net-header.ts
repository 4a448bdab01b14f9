import { hasFeature } from './feature-words.js';
import { VIRTIO_F } from './features.js';
import { VIRTIO_NET_F } from './net-features.js';

/**
 * virtio 1.4 §5.1.9 Device Operation, struct virtio_net_hdr. A field keeps its place whatever is negotiated; the
 * header just ends earlier or later: `virtioNetHdrBytes`. The IPsec resource header shares its 6 bytes with
 * padding_reserved_2, so its 32-bit resource_id is not aligned (§1.4: no further padding).
 */
export const VIRTIO_NET_HDR = {
  flags: 0,
  gso_type: 1,
  hdr_len: 2,
  gso_size: 4,
  csum_start: 6,
  csum_offset: 8,
  num_buffers: 10,
  // With VIRTIO_NET_F_HASH_REPORT.
  hash_value: 12,
  hash_report: 16,
  padding_reserved: 18,
  // With VIRTIO_NET_F_HOST_UDP_TUNNEL_GSO or VIRTIO_NET_F_GUEST_UDP_TUNNEL_GSO.
  outer_th_offset: 20,
  inner_nh_offset: 22,
  // With VIRTIO_NET_F_OUT_NET_HEADER or VIRTIO_NET_F_IPSEC; the former alone gives outer_nh_offset a meaning.
  outer_nh_offset: 24,
  resource_id: 26,
  resource_type: 30,
} as const;

/** virtio 1.4 §5.1.9.3.1: the header's sizes in bytes. LEGACY ends before num_buffers (§5.1.9.1). */
export const VIRTIO_NET_HDR_SIZE = { LEGACY: 10, V1: 12, HASH_REPORT: 20, UDP_TUNNEL: 24, OUT_NET_HEADER: 32 } as const;

/** virtio 1.4 §5.1.9: `flags`. */
export const VIRTIO_NET_HDR_F = {
  NEEDS_CSUM: 1,
  DATA_VALID: 2,
  RSC_INFO: 4,
  UDP_TUNNEL_CSUM: 8,
  SECURITY: 16,
  SECURITY_ERR: 32,
  SECURITY_SA_SOFT_EXPIRY_WARN: 64,
} as const;

/** virtio 1.4 §5.1.9: `gso_type`, a value up to UDP_L4 and the bits UDP_TUNNEL_IPV4, UDP_TUNNEL_IPV6, ECN. */
export const VIRTIO_NET_HDR_GSO = {
  NONE: 0,
  TCPV4: 1,
  UDP: 3,
  TCPV6: 4,
  UDP_L4: 5,
  UDP_TUNNEL_IPV4: 0x20,
  UDP_TUNNEL_IPV6: 0x40,
  ECN: 0x80,
} as const;

/**
 * Bytes of struct virtio_net_hdr, the same for transmitted and received packets.
 * virtio 1.4 §5.1.9.3.1 asks for 24 bytes with HOST_UDP_TUNNEL_GSO only, the struct of §5.1.9 also with
 * GUEST_UDP_TUNNEL_GSO; either counts here, as in Linux.
 * @param features the negotiated ones; without VERSION_1 the legacy sizes of §5.1.9.1 apply
 */
export function virtioNetHdrBytes(features: Uint32Array): number {
  if (hasFeature(features, VIRTIO_NET_F.OUT_NET_HEADER) || hasFeature(features, VIRTIO_NET_F.IPSEC)) {
    return VIRTIO_NET_HDR_SIZE.OUT_NET_HEADER;
  }
  if (
    hasFeature(features, VIRTIO_NET_F.HOST_UDP_TUNNEL_GSO) ||
    hasFeature(features, VIRTIO_NET_F.GUEST_UDP_TUNNEL_GSO)
  ) {
    return VIRTIO_NET_HDR_SIZE.UDP_TUNNEL;
  }
  if (hasFeature(features, VIRTIO_NET_F.HASH_REPORT)) return VIRTIO_NET_HDR_SIZE.HASH_REPORT;
  if (hasFeature(features, VIRTIO_F.VERSION_1) || hasFeature(features, VIRTIO_NET_F.MRG_RXBUF)) {
    return VIRTIO_NET_HDR_SIZE.V1;
  }
  return VIRTIO_NET_HDR_SIZE.LEGACY;
}
