import { IPPROTO } from '@ringwire/net-offload';
import { TX_CONTEXT, TX_CTX } from '@ringwire/nic-spec/ixgbe';

const SCTP = 132;
const LENS = TX_CONTEXT.vlan_macip_lens >> 2;
const TUCMD = TX_CONTEXT.type_tucmd_mlhl >> 2;
const MSS = TX_CONTEXT.mss_l4len_idx >> 2;

/** What a context descriptor said. 82599 datasheet §7.2.3.2.3 */
export class TxContext {
  /** One was written. */
  isThere = false;
  /** Bytes before the IP header, and of it. */
  macBytes = 0;
  ipBytes = 0;
  /** Control information of the tag to insert. */
  vlan = 0;
  isIpv4 = false;
  /** IPPROTO.TCP, UDP, or SCTP's 132; 0 for a value that means none. */
  transport = 0;
  /** Bytes of the transport's header, for segmentation. */
  transportBytes = 0;
  /** Most bytes behind the headers of a segment. */
  segmentBytes = 0;

  get isSctp(): boolean {
    return this.transport === SCTP;
  }

  /** @param words the descriptor's four, as read once */
  load(words: Uint32Array): void {
    const lens = words[LENS]!;
    const tucmd = words[TUCMD]!;
    const mss = words[MSS]!;
    this.isThere = true;
    this.macBytes = (lens >>> TX_CTX.MACLEN_SHIFT) & TX_CTX.MACLEN_MASK;
    this.ipBytes = lens & TX_CTX.IPLEN_MASK;
    this.vlan = lens >>> TX_CTX.VLAN_SHIFT;
    this.isIpv4 = (tucmd & TX_CTX.IPV4) !== 0;
    this.transport = transportOf(tucmd & TX_CTX.L4T_MASK);
    this.transportBytes = (mss >>> TX_CTX.L4LEN_SHIFT) & TX_CTX.L4LEN_MASK;
    this.segmentBytes = mss >>> TX_CTX.MSS_SHIFT;
  }
}

function transportOf(type: number): number {
  switch (type) {
    case TX_CTX.L4T_TCP:
      return IPPROTO.TCP;
    case TX_CTX.L4T_UDP:
      return IPPROTO.UDP;
    case TX_CTX.L4T_SCTP:
      return SCTP;
    default:
      return 0;
  }
}
