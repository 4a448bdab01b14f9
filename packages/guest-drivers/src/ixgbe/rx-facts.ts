import { RSS_TYPE, RX_ERROR, RX_STATUS, RX_TYPES } from '@ringwire/nic-spec/ixgbe';
import { VIRTIO_NET_HASH_REPORT, VIRTIO_NET_HDR_F } from '@ringwire/virtio-spec/net';

const { L4CS, IPCS, UDPCS } = RX_STATUS;
const { L4E, IPE } = RX_ERROR;
const { RSS_MASK } = RX_TYPES;

/** Of each RSS type virtio's name for the same hash; NONE for the types that mean nothing. */
const REPORTS: Uint8Array = new Uint8Array(RSS_MASK + 1);
REPORTS[RSS_TYPE.TCP_IPV4] = VIRTIO_NET_HASH_REPORT.TCPv4;
REPORTS[RSS_TYPE.IPV4] = VIRTIO_NET_HASH_REPORT.IPv4;
REPORTS[RSS_TYPE.TCP_IPV6] = VIRTIO_NET_HASH_REPORT.TCPv6;
REPORTS[RSS_TYPE.IPV6_EX] = VIRTIO_NET_HASH_REPORT.IPv6_EX;
REPORTS[RSS_TYPE.IPV6] = VIRTIO_NET_HASH_REPORT.IPv6;
REPORTS[RSS_TYPE.TCP_IPV6_EX] = VIRTIO_NET_HASH_REPORT.TCPv6_EX;
REPORTS[RSS_TYPE.UDP_IPV4] = VIRTIO_NET_HASH_REPORT.UDPv4;
REPORTS[RSS_TYPE.UDP_IPV6] = VIRTIO_NET_HASH_REPORT.UDPv6;
REPORTS[RSS_TYPE.UDP_IPV6_EX] = VIRTIO_NET_HASH_REPORT.UDPv6_EX;

/** A `VIRTIO_NET_HASH_REPORT` for the types of a write-back; NONE for what is none. 82599 datasheet §7.1.2.8 */
export const hashReportOf = (types: number): number => REPORTS[types & RSS_MASK]!;

/** Whether the card looked at a checksum and found it wrong: the frame is good all the same, for others to look at. */
export const hasBadChecksum = (status: number): boolean => (status & (L4E | IPE)) !== 0;

/** `flags` of virtio's header: DATA_VALID where the card says that the transport checksum is right. */
export function receivedFlags(status: number): number {
  const isChecked = (status & (L4CS | UDPCS)) !== 0;
  const isWrong = (status & L4E) !== 0 || ((status & IPCS) !== 0 && (status & IPE) !== 0);
  return isChecked && !isWrong ? VIRTIO_NET_HDR_F.DATA_VALID : 0;
}
