import type { Frame } from '@ringwire/net-backend';
import { FrameHeaders, HEADER_BYTES, PacketHash, parseFrame, rssQueue, Toeplitz } from '@ringwire/net-offload';
import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_HASH_TYPE } from '@ringwire/virtio-spec/net';
import { type FlowRule, matchesFlow } from './flow-rule.js';

const HERE = 'PoolClassifier';
const MAC_BYTES = 6;
const GROUP = 1;
const VLAN_ID = 0xfff;
const VLAN_IDS = 4096;
const HASH_TYPES: number = Object.values(VIRTIO_NET_HASH_TYPE).reduce((all, bit) => all | bit, 0);
/** Microsoft's key of "Verifying the RSS Hash Calculation", which test vectors are made with. */
const RSS_KEY = Uint8Array.of(
  0x6d,
  0x5a,
  0x56,
  0xda,
  0x25,
  0x5b,
  0x0e,
  0xc2,
  0x41,
  0x67,
  0x25,
  0x3d,
  0x43,
  0xa3,
  0x8f,
  0xb0,
  0xd0,
  0xca,
  0x2b,
  0xcb,
  0xae,
  0x7b,
  0x30,
  0xb4,
  0x77,
  0xcb,
  0x2d,
  0xa3,
  0x80,
  0x30,
  0xf2,
  0x0c,
  0x6a,
  0x42,
  0xb7,
  0x3b,
  0xbe,
  0xac,
  0x01,
  0xfa,
);
/** Any VLAN, or none. */
export const ANY_VLAN = -1;
/** Frames that no rule knows are nobody's. */
export const NO_POOL = -1;

/** Which rule decided. */
export const CLASSIFIED = { ETHER_TYPE: 0, FLOW: 1, ADDRESS: 2, GROUP: 3, DEFAULT: 4, NOBODY: 5 } as const;

/** How many pools there are, and what happens in each. */
export interface PoolClassifierOptions {
  /** Pools: one for each guest, 1 to 256. */
  readonly pools: number;
  /** Queues of each pool, a power of two up to 16: RSS spreads flows over them; 1 unless given. */
  readonly queues?: number;
  /** Where frames go that no rule knows; nowhere unless given. */
  readonly defaultPool?: number;
  /** 40 bytes or more; Microsoft's of the published test vectors unless given. */
  readonly rssKey?: Uint8Array;
}

interface StationRule {
  readonly mac: Uint8Array;
  /** VLAN id, or {@link ANY_VLAN}. */
  readonly vlan: number;
  readonly pool: number;
}

interface EtherTypeRule {
  readonly etherType: number;
  readonly pool: number;
  readonly queue: number;
}

/**
 * Finds out whose a frame is, as cards with pools for guests do (VMDq), and as a software switch has to: by EtherType, by flow, by
 * address and VLAN, and then which of the guest's queues, by RSS. Rules of one kind are asked in the order they were added.
 */
export class PoolClassifier {
  /** The pools that get the frame: one, or several for a group's address. The first {@link count} mean something. */
  readonly pools: Uint16Array;
  count = 0;
  /** Queue within the pool. */
  queue = 0;
  /** Bytes of headers that were looked at. */
  headerBytes = 0;
  /** Frames by `CLASSIFIED`. */
  readonly counters: Float64Array = new Float64Array(Object.keys(CLASSIFIED).length);
  private readonly poolCount: number;
  private readonly queues: number;
  private readonly defaultPool: number;
  private readonly stations: StationRule[] = [];
  private readonly etherTypes: EtherTypeRule[] = [];
  private readonly flows: { readonly rule: FlowRule; readonly pool: number; readonly queue: number }[] = [];
  private readonly toeplitz: Toeplitz;
  private readonly table: Uint16Array;
  private readonly hash = new PacketHash();
  private readonly headers = new FrameHeaders();
  private readonly bytes = new Uint8Array(HEADER_BYTES);

  /** @throws VirtioError for pools that cannot be */
  constructor({ pools, queues = 1, defaultPool = NO_POOL, rssKey = RSS_KEY }: PoolClassifierOptions) {
    within('pools', pools, 1, 256);
    if (![1, 2, 4, 8, 16].includes(queues)) throw new VirtioError('queues', queues, '1, 2, 4, 8 or 16', HERE);
    within('defaultPool', defaultPool, NO_POOL, pools - 1);
    this.poolCount = pools;
    this.queues = queues;
    this.defaultPool = defaultPool;
    this.pools = new Uint16Array(pools);
    this.toeplitz = new Toeplitz(rssKey);
    this.table = Uint16Array.from({ length: 128 }, (_, entry) => entry % queues);
  }

  /** Frames to an address belong to a pool. Several pools may have a group's address. @param vlan 0 to 4095, 0 also without a tag */
  addStation(mac: Uint8Array, pool: number, vlan: number = ANY_VLAN): void {
    if (mac.length !== MAC_BYTES) throw new VirtioError('mac.length', mac.length, '6', HERE);
    within('vlan', vlan, ANY_VLAN, VLAN_IDS - 1);
    this.stations.push({ mac: mac.slice(), vlan, pool: this.pool(pool) });
  }

  /** Frames of an EtherType, behind VLAN tags, belong to one queue of a pool, whatever their address. */
  addEtherType(etherType: number, pool: number, queue = 0): void {
    within('etherType', etherType, 0x600, 0xffff);
    this.etherTypes.push({ etherType, pool: this.pool(pool), queue: within('queue', queue, 0, this.queues - 1) });
  }

  /** Packets of a flow belong to one queue of a pool. */
  addFlow(rule: FlowRule, pool: number, queue = 0): void {
    this.flows.push({ rule, pool: this.pool(pool), queue: within('queue', queue, 0, this.queues - 1) });
  }

  /** RSS: the queue of each hash's low bits. @param table a power of two of queues, up to 128 */
  setRssTable(table: readonly number[]): void {
    const { length } = table;
    if (length < 1 || length > this.table.length || (length & (length - 1)) !== 0)
      throw new VirtioError('table.length', length, `a power of two up to ${this.table.length}`, HERE);
    for (const queue of table) within('queue', queue, 0, this.queues - 1);
    for (let entry = 0; entry < this.table.length; entry++) this.table[entry] = table[entry % length]!;
  }

  /** Find {@link pools} and {@link queue} of a frame. Its headers are copied first. @returns a `CLASSIFIED` value */
  classify(frame: Frame): number {
    const bytes = this.read(frame);
    parseFrame(this.bytes, 0, bytes, this.headers);
    this.headerBytes = headerBytesOf(this.headers, bytes);
    this.count = 0;
    this.queue = 0;
    const outcome = this.decide();
    this.counters[outcome]!++;
    return outcome;
  }

  private decide(): number {
    const { headers, defaultPool } = this;
    if (!headers.ethernet) return CLASSIFIED.NOBODY;
    for (const rule of this.etherTypes)
      if (rule.etherType === headers.etherType) return this.to(rule.pool, rule.queue, CLASSIFIED.ETHER_TYPE);
    for (const { rule, pool, queue } of this.flows)
      if (matchesFlow(rule, this.bytes, headers)) return this.to(pool, queue, CLASSIFIED.FLOW);
    this.findStations();
    this.queue = this.rss();
    if (this.count > 0) return (this.bytes[0]! & GROUP) === 0 ? CLASSIFIED.ADDRESS : CLASSIFIED.GROUP;
    return defaultPool === NO_POOL ? CLASSIFIED.NOBODY : this.to(defaultPool, this.queue, CLASSIFIED.DEFAULT);
  }

  private to(pool: number, queue: number, outcome: number): number {
    this.pools[0] = pool;
    this.count = 1;
    this.queue = queue;
    return outcome;
  }

  /** A station's address belongs to the first pool that has it, a group's to all. */
  private findStations(): void {
    const { bytes, headers, stations, pools } = this;
    const vlan = headers.vlanTags === 0 ? 0 : headers.vlanTci & VLAN_ID;
    for (const { mac, vlan: wanted, pool } of stations) {
      if (wanted !== ANY_VLAN && wanted !== vlan) continue;
      if (!isTo(bytes, mac) || this.has(pool)) continue;
      pools[this.count++] = pool;
      if ((mac[0]! & GROUP) === 0) return;
    }
  }

  private has(pool: number): boolean {
    for (let i = 0; i < this.count; i++) if (this.pools[i] === pool) return true;
    return false;
  }

  private rss(): number {
    if (this.queues === 1) return 0;
    this.hash.compute(this.toeplitz, HASH_TYPES, 0, this.bytes, 0, this.headers);
    return rssQueue(this.hash, this.table, 0);
  }

  /** @returns bytes of headers that were copied */
  private read({ ranges, memory, first, end, skip, length }: Frame): number {
    const most = Math.min(length, HEADER_BYTES);
    let done = 0;
    let from = skip;
    for (let range = first; range < end && done < most; range++) {
      const at = ranges.offset[range]! + from;
      const take = Math.min(ranges.length[range]! - from, most - done);
      for (let i = 0; i < take; i++) this.bytes[done + i] = memory.u8[at + i]!;
      done += take;
      from = 0;
    }
    return done;
  }

  private pool(pool: number): number {
    return within('pool', pool, 0, this.poolCount - 1);
  }
}

function isTo(bytes: Uint8Array, mac: Uint8Array): boolean {
  for (let i = 0; i < MAC_BYTES; i++) if (bytes[i] !== mac[i]) return false;
  return true;
}

const ETHERNET = 14;
const TAG = 4;

/** Up to where headers that were found reach. */
function headerBytesOf({ ethernet, vlanTags, ip }: FrameHeaders, bytes: number): number {
  if (!ethernet) return bytes;
  if (ip.version === 0) return ETHERNET + TAG * vlanTags;
  return Math.min(bytes, ip.payload + ip.transportBytes);
}

function within(field: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new VirtioError(field, value, `${least} to ${most}`, HERE);
}
