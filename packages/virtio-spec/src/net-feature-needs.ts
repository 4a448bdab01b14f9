import { VIRTIO_NET_F } from './net-features.js';

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
