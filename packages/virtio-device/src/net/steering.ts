import type { Frame } from '@ringwire/net-backend';
import { PacketHash, rssQueue } from '@ringwire/net-offload';
import { VIRTIO_NET_F, VIRTIO_NET_HASH_REPORT } from '@ringwire/virtio-spec/net';
import { FLOW, FlowFilter } from './flow-filter.js';
import { FlowTable, flowKey } from './flow-table.js';
import { HeaderReader } from './header-reader.js';
import type { NetQueue } from './net-queue.js';
import type { NetState } from './net-state.js';
import { type HashRules, NO_HASH, type RssConfig } from './rss-config.js';

/** No receive queue can take the frame. */
const NOWHERE = -1;
/** A flow filter rule drops it. */
export const FILTERED: number = FLOW.DROP;

/** How many pairs are in use, and which receive queue a frame belongs to: automatic steering or RSS, and the hash. */
export class Steering {
  /** Transmit queues that are served: 1 until the driver asks for more. */
  txPairs = 1;
  /** VIRTIO_NET_F_HASH_TUNNEL: enabled_tunnel_types. */
  tunnelTypes = 0;
  /** VIRTIO_NET_F_RSS_CONTEXT: by rss_ctx_id. */
  readonly contexts: Map<number, RssConfig> = new Map();
  /** Of the frame that was last steered. */
  hashValue = 0;
  hashReport = 0;
  /** Transmitted frames are looked at: automatic steering over several pairs. */
  learns = false;
  /** Received frames are looked at. */
  private looks = false;
  /** Receive queues for automatic steering. */
  private rxPairs = 1;
  /** RSS is in force rather than automatic steering. */
  private rss: RssConfig | undefined = undefined;
  private rules: HashRules = NO_HASH;
  private reportsHash = false;
  /** Rules that go before all other steering. */
  readonly filter: FlowFilter = new FlowFilter();
  private readonly flows: FlowTable;
  private readonly reader: HeaderReader = new HeaderReader();
  private readonly hash: PacketHash = new PacketHash();
  private readonly state: NetState;

  constructor(state: NetState) {
    this.state = state;
    this.flows = new FlowTable(state.share?.flows);
  }

  /** As after a reset. */
  start(): void {
    this.tunnelTypes = 0;
    this.contexts.clear();
    this.rules = NO_HASH;
    this.reportsHash = this.state.has(VIRTIO_NET_F.HASH_REPORT);
    this.setPairs(1);
  }

  /** RSS_CONFIG as the driver gave it, while it is in force. */
  get rssBytes(): Uint8Array | undefined {
    return this.rss?.bytes;
  }

  /** HASH_CONFIG as the driver gave it, while it is in force. */
  get hashBytes(): Uint8Array | undefined {
    return this.rules === NO_HASH || this.rules === this.rss ? undefined : this.rules.bytes;
  }

  /** VQ_PAIRS_SET: automatic receive steering over so many pairs. */
  setPairs(pairs: number): void {
    this.rss = undefined;
    this.txPairs = pairs;
    this.rxPairs = pairs;
    this.flows.clear();
    this.settle();
  }

  /** RSS_CONFIG. */
  setRss(config: RssConfig): void {
    this.rss = config;
    this.rules = config;
    this.txPairs = config.txPairs;
    this.settle();
  }

  /** HASH_CONFIG. */
  setHash(rules: HashRules): void {
    this.rules = rules;
    this.settle();
  }

  /** What there is to be done per frame. */
  private settle(): void {
    this.learns = this.rxPairs > 1 && this.rss === undefined;
    this.looks = this.learns || this.rss !== undefined || this.rules.toeplitz !== undefined;
    this.hashReport = VIRTIO_NET_HASH_REPORT.NONE;
    this.hashValue = 0;
  }

  /** A frame leaves on `frame.pair`: what comes back of its flow goes to the same pair. */
  learn(frame: Frame): void {
    if (!this.learns) return;
    const { reader } = this;
    reader.read(frame);
    const key = flowKey(reader.u8, reader.base, reader.headers.ip);
    if (key !== 0) this.flows.set(key, frame.pair);
  }

  /** Whether every frame goes to the first queue, whatever is in it. */
  get isIdle(): boolean {
    return !this.looks && !this.filter.isActive;
  }

  /**
   * Choose a frame's receive queue, and calculate its hash where somebody wants to know it. Flow filter rules go before
   * steering: virtio 1.4 §5.1.9.6.1.
   * @param queues receive queues by pair
   * @returns a pair whose queue is on, NOWHERE (-1), or FILTERED (-2)
   */
  pick(frame: Frame, queues: readonly NetQueue[]): number {
    if (this.filter.isActive) return this.pickFiltered(frame, queues);
    if (!this.looks) return queues[0]!.isOn ? 0 : NOWHERE;
    const { rss, rules } = this;
    const hashes = rules.toeplitz !== undefined && (this.reportsHash || rss !== undefined);
    this.hashReport = VIRTIO_NET_HASH_REPORT.NONE;
    this.hashValue = 0;
    if (hashes || this.learns) this.reader.read(frame);
    if (hashes) this.calculateHash();
    return rss === undefined ? this.pickAutomatic(queues) : this.pickRss(rss, queues);
  }

  /** The same where there are rules: the first that matches decides, and only without one anything else. */
  private pickFiltered(frame: Frame, queues: readonly NetQueue[]): number {
    const { reader, rss, rules } = this;
    this.hashReport = VIRTIO_NET_HASH_REPORT.NONE;
    this.hashValue = 0;
    reader.read(frame);
    const verdict = this.filter.match(frame, reader);
    if (verdict === FLOW.DROP) return FILTERED;
    if (rules.toeplitz !== undefined && (this.reportsHash || rss !== undefined)) this.calculateHash();
    if (verdict !== FLOW.NO_MATCH) return queues[verdict]!.isOn ? verdict : NOWHERE;
    return rss === undefined ? this.pickAutomatic(queues) : this.pickRss(rss, queues);
  }

  /** virtio 1.4 §5.1.9.5.7.3: by hash, and nowhere else when that queue is off. */
  private pickRss(rss: RssConfig, queues: readonly NetQueue[]): number {
    // Without an enabled hash type the hash in hand is not this frame's.
    const pair = rss.toeplitz === undefined ? rss.unclassified : rssQueue(this.hash, rss.table, rss.unclassified);
    return queues[pair]!.isOn ? pair : NOWHERE;
  }

  private calculateHash(): void {
    const { hash, reader, rules } = this;
    hash.compute(rules.toeplitz!, rules.hashTypes, this.tunnelTypes, reader.u8, reader.base, reader.headers);
    this.hashValue = hash.value;
    this.hashReport = hash.report;
  }

  /** virtio 1.4 §5.1.9.5.6.2: where the flow left; another queue that is on when that one is not. */
  private pickAutomatic(queues: readonly NetQueue[]): number {
    const { reader, rxPairs } = this;
    let pair = 0;
    if (rxPairs > 1) {
      const key = flowKey(reader.u8, reader.base, reader.headers.ip);
      pair = key === 0 ? 0 : this.flows.get(key);
      if (pair < 0 || pair >= rxPairs) pair = key % rxPairs;
    }
    for (let tries = 0; tries < rxPairs; tries++) {
      if (queues[pair]!.isOn) return pair;
      pair = (pair + 1) % rxPairs;
    }
    return NOWHERE;
  }
}
