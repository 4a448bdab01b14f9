import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, VIRTIO_NET_HDR, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import type { StatementId } from '../statements.js';
import type { Verdict } from '../verdict.js';

const F = VIRTIO_NET_F;
const { NONE, TCPV4, TCPV6, UDP, UDP_L4, UDP_TUNNEL_IPV4, UDP_TUNNEL_IPV6, ECN } = VIRTIO_NET_HDR_GSO;
const { NEEDS_CSUM, DATA_VALID, RSC_INFO, UDP_TUNNEL_CSUM } = VIRTIO_NET_HDR_F;
const TUNNEL = UDP_TUNNEL_IPV4 | UDP_TUNNEL_IPV6;
/** Types of segmentation, what each has to have negotiated, and by which statement. */
const TYPES: readonly (readonly [type: number, name: string, feature: number, id: StatementId])[] = [
  [TCPV4, 'TCPV4', F.HOST_TSO4, 'drv.net.tx.7'],
  [TCPV6, 'TCPV6', F.HOST_TSO6, 'drv.net.tx.9'],
  [UDP, 'UDP', F.HOST_UFO, 'drv.net.tx.11'],
  [UDP_L4, 'UDP_L4', F.HOST_USO, 'drv.net.tx.13'],
];

/**
 * The header in front of a frame to be sent.
 * @param length of the frame
 * @param at guest address
 * @returns whether the frame is one that leaves as it is, and may be as long as mtu allows
 */
export function judgeTxHeader(
  verdict: Verdict,
  features: Uint32Array,
  header: DataView,
  length: number,
  at: string | null,
): boolean {
  const has = (bit: number): boolean => hasFeature(features, bit);
  const flags = header.getUint8(VIRTIO_NET_HDR.flags);
  const type = header.getUint8(VIRTIO_NET_HDR.gso_type);
  const base = type & ~(TUNNEL | ECN);
  const tunnel = type & TUNNEL;
  const says = `virtio_net_hdr has flags ${flags}, gso_type ${type}`;
  const judge = (id: StatementId, holds: boolean, want: string): void =>
    verdict.judge(id, holds, `${says}, want ${want}`, at);
  const buffers = header.getUint16(VIRTIO_NET_HDR.num_buffers, true);
  verdict.judge('drv.net.tx.2', buffers === 0, `virtio_net_hdr has num_buffers ${buffers}, want 0`, at);
  if (!has(F.CSUM)) judge('drv.net.tx.3', flags === 0, 'flags 0 without CSUM');
  judge('drv.net.tx.45', (flags & (DATA_VALID | RSC_INFO)) === 0, 'neither DATA_VALID nor RSC_INFO');
  for (const [value, name, feature, id] of TYPES)
    if (!has(feature)) judge(id, base !== value, `no ${name}, which is not negotiated`);
  if (!TYPES.some(([, , feature]) => has(feature))) judge('drv.net.tx.31', type === NONE, 'gso_type NONE');
  if (!has(F.HOST_UDP_TUNNEL_GSO)) judge('drv.net.tx.17', tunnel === 0, 'no tunnel bit');
  if (!has(F.HOST_UDP_TUNNEL_GSO_CSUM)) judge('drv.net.tx.22', (flags & UDP_TUNNEL_CSUM) === 0, 'no UDP_TUNNEL_CSUM');
  if (tunnel !== 0) {
    judge('drv.net.tx.25', tunnel !== TUNNEL, 'one tunnel bit');
    judge('drv.net.tx.24', base !== UDP, 'no tunnel bit with UDP');
    judge('drv.net.tx.46', (flags & DATA_VALID) === 0, 'no DATA_VALID with a tunnel bit');
  } else judge('drv.net.tx.26', (flags & UDP_TUNNEL_CSUM) === 0, 'no UDP_TUNNEL_CSUM without a tunnel bit');
  if ((flags & NEEDS_CSUM) !== 0) {
    const end =
      header.getUint16(VIRTIO_NET_HDR.csum_start, true) + header.getUint16(VIRTIO_NET_HDR.csum_offset, true) + 2;
    verdict.judge('drv.net.tx.30', end <= length, `the checksum ends at byte ${end} of a frame of ${length}`, at);
  }
  if (base === NONE) return true;
  judge('drv.net.tx.32', (flags & NEEDS_CSUM) !== 0, 'NEEDS_CSUM');
  const size = header.getUint16(VIRTIO_NET_HDR.gso_size, true);
  verdict.judge('drv.net.tx.33', size > 0, `${says} and gso_size ${size}, want the segments’ payload`, at);
  return false;
}
