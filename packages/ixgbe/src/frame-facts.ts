import type { HostMemory } from '@ringwire/guest-memory';
import { copyFrame, Frame, type FrameRun } from '@ringwire/net-backend';
import {
  addSums,
  ETHERNET,
  ETHERTYPE,
  FrameHeaders,
  HEADER_BYTES,
  IPPROTO,
  IPV4,
  type IpHeaders,
  parseFrame,
  pseudoHeaderSum,
  sumFrame,
  UDP,
} from '@ringwire/net-offload';
import { RX_ERROR, RX_STATUS, RX_TYPES } from '@ringwire/nic-spec/ixgbe';
import { VIRTIO_NET_HDR_F } from '@ringwire/virtio-spec/net';

const SCTP = 132;
const GOOD = 0xffff;
const TYPE_AT = 12;
const ADDRESSES_AND_TAG_BYTES = 18;
const GROUP = 1;

/** What is known of a received frame: for choosing its queue, and for the write-back. One object is reused. */
export class FrameFacts {
  readonly headers: FrameHeaders = new FrameHeaders();
  /** The bytes that {@link headers} were found in: host offset, and how many of the frame's first ones they are. */
  headersAt = 0;
  headerBytes = 0;
  /** It has a tag of the type that is looked for. */
  isTagged = false;
  /** That tag's control information. */
  vlan = 0;
  isGroup = false;
  isBroadcast = false;
  /** First word of the write-back: RSS type and packet type. */
  types = 0;
  /** Second word. */
  hashOrChecksum = 0;
  /** Third word, without what depends on the queue. */
  status = 0;
  private readonly memory: HostMemory;
  private readonly scratch: number;
  /** A frame of a run. */
  private readonly one: Frame;

  /** @param scratch host offset of HEADER_BYTES bytes that no driver can reach, a multiple of 4 */
  constructor(memory: HostMemory, scratch: number) {
    this.memory = memory;
    this.scratch = scratch;
    this.one = new Frame(memory);
  }

  /** Look at a frame. @param tagType EtherType of the tags that are taken out */
  gather(frame: Frame, tagType: number): void {
    this.findHeaders(frame);
    this.judge(frame, tagType);
  }

  /**
   * Look at what the frames of a run have in common, which is the header that goes along with it.
   * @param tagType as of {@link gather}
   * @returns whether that is all there is to be said of each of them: they carry neither tag nor IP
   */
  gatherHeader(run: FrameRun, tagType: number): boolean {
    const type = typeOf(run);
    if (isTagType(type, tagType) || type === ETHERTYPE.IPV4 || type === ETHERTYPE.IPV6) return false;
    const one = this.oneOf(run, run.first);
    this.putHeader(run);
    this.headersAt = this.scratch;
    this.headerBytes = ETHERNET.SIZE;
    this.judge(one, tagType);
    return true;
  }

  /** Look at one frame of a run, with the header that goes along. @param range where it lies, of the run's ranges */
  gatherOf(run: FrameRun, range: number, tagType: number): void {
    const one = this.oneOf(run, range);
    const bytes = Math.min(one.length, HEADER_BYTES);
    this.memory.engine.copy(this.scratch, run.ranges.offset[range]! + run.skip, bytes);
    this.putHeader(run);
    this.headersAt = this.scratch;
    this.headerBytes = bytes;
    this.judge(one, tagType);
  }

  private oneOf({ ranges, skip }: FrameRun, range: number): Frame {
    const { one } = this;
    one.ranges = ranges;
    one.first = range;
    one.end = range + 1;
    one.skip = skip;
    one.length = ranges.length[range]! - skip;
    return one;
  }

  private putHeader({ word0, word1, word2, type16 }: FrameRun): void {
    const { u32, u16 } = this.memory;
    const word = this.scratch >>> 2;
    u32[word] = word0;
    u32[word + 1] = word1;
    u32[word + 2] = word2;
    u16[2 * word + ETHERNET.type / 2] = type16;
  }

  /** Say what there is to be said, by headers that were found. */
  private judge(frame: Frame, tagType: number): void {
    const { headers, headersAt: at } = this;
    const { u8 } = this.memory;
    parseFrame(u8, at, this.headerBytes, headers);
    const isTagged =
      this.headerBytes >= ADDRESSES_AND_TAG_BYTES && ((u8[at + TYPE_AT]! << 8) | u8[at + TYPE_AT + 1]!) === tagType;
    this.isTagged = isTagged;
    this.vlan = isTagged ? (u8[at + TYPE_AT + 2]! << 8) | u8[at + TYPE_AT + 3]! : 0;
    this.isGroup = (u8[at]! & GROUP) !== 0;
    this.isBroadcast = this.isGroup && isAllOnes(u8, at);
    this.types = packetType(headers);
    this.hashOrChecksum = 0;
    this.status = headers.ip.version === 0 ? 0 : this.checksumStatus(frame);
  }

  /** The first bytes in one piece, where they lie, or as a copy. */
  private findHeaders(frame: Frame): void {
    const { ranges, first } = frame;
    const bytes = Math.min(frame.length, HEADER_BYTES);
    this.headerBytes = bytes;
    if (ranges.length[first]! - frame.skip >= bytes) {
      this.headersAt = ranges.offset[first]! + frame.skip;
      return;
    }
    this.headersAt = this.scratch;
    copyFrame(frame, 0, this.memory, this.scratch, bytes);
  }

  /** 82599 datasheet §7.1.11: which checksums were looked at, and which are wrong. */
  private checksumStatus(frame: Frame): number {
    const { ip } = this.headers;
    let status = 0;
    if (ip.version === 4) {
      status |= RX_STATUS.IPCS;
      if (this.memory.engine.checksum(this.headersAt + ip.at, ip.payload - ip.at) !== GOOD) status |= RX_ERROR.IPE;
    }
    if (ip.transport === 0) return status;
    const length = this.transportLength(frame, ip);
    if (ip.transport === IPPROTO.UDP) {
      if (this.be16(ip.payload + UDP.checksum) === 0) return status;
      status |= RX_STATUS.UDPCS;
    }
    status |= RX_STATUS.L4CS;
    // The sender's side has just made or checked it.
    if ((frame.flags & VIRTIO_NET_HDR_F.DATA_VALID) !== 0) return status;
    return length >= 0 && this.transportSum(frame, ip, length) === GOOD ? status : status | RX_ERROR.L4E;
  }

  private transportSum(frame: Frame, ip: IpHeaders, length: number): number {
    const pseudo = pseudoHeaderSum(this.memory, this.headersAt, ip, ip.transport, length);
    return addSums(pseudo, sumFrame(frame, ip.payload, length));
  }

  /** Bytes that the checksum covers; -1 when the frame has fewer. */
  private transportLength(frame: Frame, ip: IpHeaders): number {
    const length = ip.at + ip.length - ip.payload;
    if (length < 0 || ip.payload + length > frame.length) return -1;
    if (ip.transport === IPPROTO.TCP) return length;
    const udp = this.be16(ip.payload + UDP.length);
    return udp < UDP.SIZE || udp > length ? -1 : udp;
  }

  /** @param at offset in the headers */
  be16(at: number): number {
    const { u8 } = this.memory;
    return (u8[this.headersAt + at]! << 8) | u8[this.headersAt + at + 1]!;
  }
}

/** Whether the frames of a run, which has its header, are tagged. @param tagType EtherType of the card's own tags */
export const isRunTagged = (run: FrameRun, tagType: number): boolean => isTagType(typeOf(run), tagType);

const typeOf = ({ type16 }: FrameRun): number => ((type16 & 0xff) << 8) | (type16 >>> 8);

const isTagType = (type: number, own: number): boolean =>
  type === own || type === ETHERTYPE.VLAN || type === ETHERTYPE.SERVICE_VLAN;

/** 82599 datasheet §7.1.6.2, packet type. */
function packetType({ ip }: FrameHeaders): number {
  if (ip.version === 0) return 0;
  let type: number;
  if (ip.version === 4) type = ip.payload - ip.at > IPV4.SIZE ? RX_TYPES.PACKET_IPV4E : RX_TYPES.PACKET_IPV4;
  else type = ip.extended ? RX_TYPES.PACKET_IPV6E : RX_TYPES.PACKET_IPV6;
  if (ip.transport === IPPROTO.TCP) return type | RX_TYPES.PACKET_TCP;
  if (ip.transport === IPPROTO.UDP) return type | RX_TYPES.PACKET_UDP;
  return ip.protocol === SCTP && !ip.fragment ? type | RX_TYPES.PACKET_SCTP : type;
}

function isAllOnes(u8: Uint8Array, at: number): boolean {
  for (let i = 0; i < 6; i++) if (u8[at + i] !== 0xff) return false;
  return true;
}
