/** virtio 1.4 §5.1.3 Feature bits of a network device, by bit number. */
export const VIRTIO_NET_F = {
  CSUM: 0,
  GUEST_CSUM: 1,
  CTRL_GUEST_OFFLOADS: 2,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  GUEST_UFO: 10,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  HOST_UFO: 14,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_VLAN: 19,
  CTRL_RX_EXTRA: 20,
  GUEST_ANNOUNCE: 21,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
  DEVICE_STATS: 50,
  HASH_TUNNEL: 51,
  VQ_NOTF_COAL: 52,
  NOTF_COAL: 53,
  GUEST_USO4: 54,
  GUEST_USO6: 55,
  HOST_USO: 56,
  HASH_REPORT: 57,
  GUEST_HDRLEN: 59,
  RSS: 60,
  RSC_EXT: 61,
  STANDBY: 62,
  SPEED_DUPLEX: 63,
  RSS_CONTEXT: 64,
  GUEST_UDP_TUNNEL_GSO: 65,
  GUEST_UDP_TUNNEL_GSO_CSUM: 66,
  HOST_UDP_TUNNEL_GSO: 67,
  HOST_UDP_TUNNEL_GSO_CSUM: 68,
  OUT_NET_HEADER: 69,
  IPSEC: 70,
} as const;

/** Name of one of {@link VIRTIO_NET_F}. */
export type NetFeature = keyof typeof VIRTIO_NET_F;

/** virtio 1.4 §5.1.3.2 Legacy Interface: Feature bits. 41 is also VIRTIO_F_ADMIN_VQ, see `FEATURE_RANGES`. */
export const VIRTIO_NET_F_LEGACY = { GSO: 6, GUEST_RSC4: 41, GUEST_RSC6: 42 } as const;

/** One row of the requirement table: `bit` needs, of each group, at least one bit. */
export interface FeatureRequirement {
  readonly bit: number;
  readonly needs: readonly (readonly number[])[];
}

const F = VIRTIO_NET_F;

/** virtio 1.4 §5.1.3.1 Feature bit requirements, in the spec's order. */
export const VIRTIO_NET_F_REQUIRES: readonly FeatureRequirement[] = [
  { bit: F.GUEST_TSO4, needs: [[F.GUEST_CSUM]] },
  { bit: F.GUEST_TSO6, needs: [[F.GUEST_CSUM]] },
  { bit: F.GUEST_ECN, needs: [[F.GUEST_TSO4, F.GUEST_TSO6]] },
  { bit: F.GUEST_UFO, needs: [[F.GUEST_CSUM]] },
  { bit: F.GUEST_USO4, needs: [[F.GUEST_CSUM]] },
  { bit: F.GUEST_USO6, needs: [[F.GUEST_CSUM]] },
  { bit: F.GUEST_UDP_TUNNEL_GSO, needs: [[F.GUEST_TSO4], [F.GUEST_TSO6], [F.GUEST_USO4], [F.GUEST_USO6]] },
  { bit: F.GUEST_UDP_TUNNEL_GSO_CSUM, needs: [[F.GUEST_UDP_TUNNEL_GSO]] },
  { bit: F.HOST_TSO4, needs: [[F.CSUM]] },
  { bit: F.HOST_TSO6, needs: [[F.CSUM]] },
  { bit: F.HOST_ECN, needs: [[F.HOST_TSO4, F.HOST_TSO6]] },
  { bit: F.HOST_UFO, needs: [[F.CSUM]] },
  { bit: F.HOST_USO, needs: [[F.CSUM]] },
  { bit: F.HOST_UDP_TUNNEL_GSO, needs: [[F.HOST_TSO4], [F.HOST_TSO6], [F.HOST_USO]] },
  { bit: F.HOST_UDP_TUNNEL_GSO_CSUM, needs: [[F.HOST_UDP_TUNNEL_GSO]] },
  { bit: F.CTRL_RX, needs: [[F.CTRL_VQ]] },
  { bit: F.CTRL_VLAN, needs: [[F.CTRL_VQ]] },
  { bit: F.GUEST_ANNOUNCE, needs: [[F.CTRL_VQ]] },
  { bit: F.MQ, needs: [[F.CTRL_VQ]] },
  { bit: F.CTRL_MAC_ADDR, needs: [[F.CTRL_VQ]] },
  { bit: F.NOTF_COAL, needs: [[F.CTRL_VQ]] },
  { bit: F.RSC_EXT, needs: [[F.HOST_TSO4, F.HOST_TSO6]] },
  { bit: F.RSS, needs: [[F.CTRL_VQ]] },
  { bit: F.VQ_NOTF_COAL, needs: [[F.CTRL_VQ]] },
  { bit: F.HASH_TUNNEL, needs: [[F.CTRL_VQ], [F.RSS, F.HASH_REPORT]] },
  { bit: F.RSS_CONTEXT, needs: [[F.CTRL_VQ], [F.RSS]] },
];
