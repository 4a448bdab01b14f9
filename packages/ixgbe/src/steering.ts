import { type FrameHeaders, IPPROTO, PacketHash, Toeplitz } from '@ringwire/net-offload';
import {
  ETQF,
  ETQS,
  FTQF,
  L34TIMIR,
  MRQC,
  PF_REG,
  PF_ROW,
  RETA,
  RSS_TYPE,
  RX_TYPES,
  RXCSUM,
  rowAt,
  SDPQF,
} from '@ringwire/nic-spec/ixgbe';
import { VIRTIO_NET_HASH_REPORT, VIRTIO_NET_HASH_TYPE } from '@ringwire/virtio-spec/net';
import type { FrameFacts } from './frame-facts.js';
import type { RegisterFile } from './register-file.js';

const HASH = VIRTIO_NET_HASH_TYPE;
const REPORT = VIRTIO_NET_HASH_REPORT;
const SCTP = 132;
const KEY_BYTES = 40;
const NOBODY = -1;
const PORTS_AND_MORE = 4;
/** Which hash a field of MRQC switches on. */
const HASH_FIELDS: readonly [field: number, type: number][] = [
  [MRQC.RSS_TCP_IPV4, HASH.TCPv4],
  [MRQC.RSS_IPV4, HASH.IPv4],
  [MRQC.RSS_IPV6, HASH.IPv6],
  [MRQC.RSS_TCP_IPV6, HASH.TCPv6],
  [MRQC.RSS_UDP_IPV4, HASH.UDPv4],
  [MRQC.RSS_UDP_IPV6, HASH.UDPv6],
];

/** Its RSS type, by hash report. */
const TYPE_OF: readonly number[] = typesByReport();

/** How many queues a mode of MRQC spreads a pool's frames over at most; 0 where it does not. */
function rssQueues(mode: number): number {
  switch (mode) {
    case MRQC.RSS:
      return 16;
    case MRQC.VMDQ_RSS_32:
      return 4;
    case MRQC.VMDQ_RSS_64:
      return 2;
    default:
      return 0;
  }
}

/** Chooses queues: EtherType filters, then 5-tuple filters, then RSS. 82599 datasheet §7.1.2 */
export class Steering {
  private readonly registers: RegisterFile;
  private readonly hash: PacketHash = new PacketHash();
  private toeplitz: Toeplitz | undefined;
  private readonly table: Uint8Array = new Uint8Array(RETA.ENTRIES);
  private hashTypes = 0;
  private spread = 0;
  private hasEtherFilters = false;
  /** Indexes of 5-tuple filters that are on, the one with the highest priority first. */
  private tuples: number[] = [];
  private isStale = true;
  private isKeyStale = true;

  constructor(registers: RegisterFile) {
    this.registers = registers;
  }

  /** A register was written that frames are steered by. */
  changed(): void {
    this.isStale = true;
  }

  keyChanged(): void {
    this.isKeyStale = true;
  }

  /**
   * Choose a frame's queue, and say in `facts` what was found on the way.
   * @param pool its pool
   * @param base the pool's first queue
   * @param queues how many it has; RSS spreads over at most as many
   * @param first,end the queues that its function has
   * @returns a queue from `first` to `end` - 1
   */
  pick(
    facts: FrameFacts,
    u8: Uint8Array,
    pool: number,
    base: number,
    queues: number,
    first: number,
    end: number,
  ): number {
    if (this.isStale) this.refresh();
    if (this.hasEtherFilters) {
      const filter = this.etherFilter(facts.headers, pool);
      if (filter !== NOBODY) {
        facts.types = RX_TYPES.PACKET_ETQF | (filter << RX_TYPES.PACKET_ETQF_SHIFT);
        const select = this.registers.get(rowAt(PF_ROW.ETQS, filter));
        const queue = (select >>> ETQS.QUEUE_SHIFT) & ETQS.QUEUE_MASK;
        if ((select & ETQS.QUEUE_EN) !== 0 && queue >= first && queue < end) return queue;
        return base;
      }
    }
    const entry = this.hashEntry(facts, u8);
    if (this.tuples.length > 0) {
      const queue = this.tupleQueue(facts, pool);
      if (queue >= first && queue < end) return queue;
    }
    return entry < 0 ? base : base + (entry & (queues - 1) & (this.spread - 1));
  }

  /** @returns the indirection table's entry, or -1 without a hash */
  private hashEntry(facts: FrameFacts, u8: Uint8Array): number {
    const { ip } = facts.headers;
    const isHashReported = (this.registers.get(PF_REG.RXCSUM) & RXCSUM.PCSD) !== 0;
    if (!isHashReported && ip.version === 4) facts.hashOrChecksum = facts.be16(ip.at + PORTS_AND_MORE);
    if (this.spread === 0 || this.hashTypes === 0 || ip.version === 0) return NOBODY;
    if (this.isKeyStale) this.loadKey();
    const { hash } = this;
    hash.compute(this.toeplitz!, this.hashTypes, 0, u8, facts.headersAt, facts.headers);
    if (hash.report === REPORT.NONE) return NOBODY;
    facts.types |= TYPE_OF[hash.report]!;
    if (isHashReported) facts.hashOrChecksum = hash.value;
    return this.table[hash.value & (RETA.ENTRIES - 1)]!;
  }

  private etherFilter({ etherType }: FrameHeaders, pool: number): number {
    for (let i = 0; i < PF_ROW.ETQF.count; i++) {
      const filter = this.registers.get(rowAt(PF_ROW.ETQF, i));
      if ((filter & ETQF.FILTER_EN) === 0 || (filter & ETQF.TYPE_MASK) !== etherType) continue;
      if ((filter & ETQF.POOL_EN) === 0 || ((filter >>> ETQF.POOL_SHIFT) & ETQF.POOL_MASK) === pool) return i;
    }
    return NOBODY;
  }

  /** 5-tuples are of IPv4 packets that are no fragments. @returns a queue, or -1 */
  private tupleQueue(facts: FrameFacts, pool: number): number {
    const { ip } = facts.headers;
    if (ip.version !== 4 || ip.fragment) return NOBODY;
    const hasPorts = ip.transport !== 0;
    for (const i of this.tuples) {
      const filter = this.registers.get(rowAt(PF_ROW.FTQF, i));
      if ((filter & FTQF.MASK_POOL) === 0 && ((filter >>> FTQF.POOL_SHIFT) & FTQF.POOL_MASK) !== pool) continue;
      if ((filter & FTQF.MASK_PROTOCOL) === 0 && ip.protocol !== protocolOf(filter & FTQF.PROTOCOL_MASK)) continue;
      if ((filter & FTQF.MASK_SOURCE_ADDRESS) === 0 && !this.matches32(facts, ip.source, PF_ROW.SAQF, i)) continue;
      if ((filter & FTQF.MASK_DESTINATION_ADDRESS) === 0 && !this.matches32(facts, ip.destination, PF_ROW.DAQF, i))
        continue;
      const ports = this.registers.get(rowAt(PF_ROW.SDPQF, i));
      if ((filter & FTQF.MASK_SOURCE_PORT) === 0 && !(hasPorts && le16(facts, ip.payload) === (ports & 0xffff)))
        continue;
      const isTo = hasPorts && le16(facts, ip.payload + 2) === ports >>> SDPQF.DESTINATION_SHIFT;
      if ((filter & FTQF.MASK_DESTINATION_PORT) === 0 && !isTo) continue;
      return (this.registers.get(rowAt(PF_ROW.L34TIMIR, i)) >>> L34TIMIR.QUEUE_SHIFT) & L34TIMIR.QUEUE_MASK;
    }
    return NOBODY;
  }

  private matches32(facts: FrameFacts, at: number, row: { at: number; stride: number }, index: number): boolean {
    return (le16(facts, at) | (le16(facts, at + 2) << 16)) >>> 0 === this.registers.get(rowAt(row, index));
  }

  private refresh(): void {
    this.isStale = false;
    const { registers } = this;
    const mrqc = registers.get(PF_REG.MRQC);
    this.spread = rssQueues(mrqc & MRQC.MRQE_MASK);
    this.hashTypes = 0;
    for (const [field, type] of HASH_FIELDS) if ((mrqc & field) !== 0) this.hashTypes |= type;
    for (let i = 0; i < RETA.ENTRIES; i++) {
      const word = registers.get(rowAt(PF_ROW.RETA, Math.floor(i / RETA.PER_REGISTER)));
      this.table[i] = (word >>> (8 * (i % RETA.PER_REGISTER))) & RETA.ENTRY_MASK;
    }
    this.hasEtherFilters = false;
    for (let i = 0; i < PF_ROW.ETQF.count; i++)
      if ((registers.get(rowAt(PF_ROW.ETQF, i)) & ETQF.FILTER_EN) !== 0) this.hasEtherFilters = true;
    this.tuples = [];
    for (let i = 0; i < PF_ROW.FTQF.count; i++)
      if ((registers.get(rowAt(PF_ROW.FTQF, i)) & FTQF.QUEUE_ENABLE) !== 0) this.tuples.push(i);
    const priority = (i: number): number =>
      (registers.get(rowAt(PF_ROW.FTQF, i)) >>> FTQF.PRIORITY_SHIFT) & FTQF.PRIORITY_MASK;
    this.tuples.sort((a, b) => priority(b) - priority(a) || a - b);
  }

  private loadKey(): void {
    this.isKeyStale = false;
    const key = new Uint8Array(KEY_BYTES);
    for (let i = 0; i < KEY_BYTES; i++) key[i] = this.registers.get(rowAt(PF_ROW.RSSRK, i >>> 2)) >>> (8 * (i & 3));
    this.toeplitz = new Toeplitz(key);
  }
}

/** Two bytes of the headers as they lie, the first one lowest: as the filters' registers have them. */
function le16(facts: FrameFacts, at: number): number {
  const value = facts.be16(at);
  return ((value & 0xff) << 8) | (value >>> 8);
}

function protocolOf(code: number): number {
  if (code === FTQF.PROTOCOL_TCP) return IPPROTO.TCP;
  if (code === FTQF.PROTOCOL_UDP) return IPPROTO.UDP;
  return code === FTQF.PROTOCOL_SCTP ? SCTP : NOBODY;
}

function typesByReport(): number[] {
  const types: number[] = [];
  types[REPORT.NONE] = RSS_TYPE.NONE;
  types[REPORT.IPv4] = RSS_TYPE.IPV4;
  types[REPORT.TCPv4] = RSS_TYPE.TCP_IPV4;
  types[REPORT.UDPv4] = RSS_TYPE.UDP_IPV4;
  types[REPORT.IPv6] = RSS_TYPE.IPV6;
  types[REPORT.TCPv6] = RSS_TYPE.TCP_IPV6;
  types[REPORT.UDPv6] = RSS_TYPE.UDP_IPV6;
  return types;
}
