import { IPPROTO } from '@ringwire/net-offload';
import { PSRTYPE, RX_ERROR, RX_TYPES, SRRCTL } from '@ringwire/nic-spec/ixgbe';
import type { FrameFacts } from './frame-facts.js';

const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;

/** Whether the first bytes of a frame go to a buffer of their own, and what the write-back says of it. 82599 datasheet §7.1.10 */
export class HeaderSplit {
  /** Bytes that go to the header buffer. */
  bytes = 0;
  /** For the first word of the first descriptor: HDR_LEN and SPH. */
  info = 0;
  /** For the status of the last one: HBO. */
  error = 0;

  /**
   * @param srrctl the queue's
   * @param psrtype the pool's: which headers are split off
   * @param total bytes of the frame as it will be in the buffers, @param cut those of a tag that is taken out before
   */
  decide(facts: FrameFacts, srrctl: number, psrtype: number, total: number, cut: number): void {
    this.bytes = 0;
    this.info = 0;
    this.error = 0;
    const type = srrctl & SRRCTL.DESCTYPE_MASK;
    const isAlways = type === SRRCTL.DESCTYPE_ADV_SPLIT_ALWAYS;
    if (!isAlways && type !== SRRCTL.DESCTYPE_ADV_SPLIT) return;
    const room = roomOf(srrctl);
    const found = Math.max(0, headerBytes(facts, psrtype) - cut);
    const isHeader = found > 0 && found < total;
    if (isHeader && found <= room) this.bytes = found;
    else if (isAlways) this.bytes = Math.min(room, total);
    if (isHeader && found > room) this.error = RX_ERROR.HBO;
    const length = isHeader ? found : this.bytes;
    this.info = ((length & RX_TYPES.HDR_LEN_MASK) << RX_TYPES.HDR_LEN_SHIFT) | (isHeader ? RX_TYPES.SPH : 0);
  }
}

function roomOf(srrctl: number): number {
  const units = (srrctl >>> SRRCTL.BSIZEHEADER_SHIFT) & SRRCTL.BSIZEHEADER_MASK;
  return Math.min(units, SRRCTL.BSIZEHEADER_MOST) * SRRCTL.BSIZEHEADER_UNIT;
}

/** Bytes up to the end of the innermost header that is to be split off; 0 where there is none. */
function headerBytes({ headers }: FrameFacts, psrtype: number): number {
  const { ip } = headers;
  const isTcp = ip.transport === IPPROTO.TCP && (psrtype & PSRTYPE.TCPHDR) !== 0;
  const isUdp = ip.transport === IPPROTO.UDP && (psrtype & PSRTYPE.UDPHDR) !== 0;
  if (isTcp || isUdp) return ip.payload + ip.transportBytes;
  const ipBit = ip.version === 4 ? PSRTYPE.IPV4HDR : PSRTYPE.IPV6HDR;
  if (ip.version !== 0 && (psrtype & ipBit) !== 0) return ip.payload;
  return (psrtype & PSRTYPE.L2HDR) === 0 ? 0 : ETHERNET_BYTES + TAG_BYTES * headers.vlanTags;
}
