import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_NET_CONFIG_LIMITS,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_RSS_CTX,
  VIRTIO_NET_HASH_TYPE,
  VIRTIO_NET_RSS_CONFIG,
  VIRTIO_NET_RSS_CTX,
} from '@ringwire/virtio-spec/net';
import { type CommandScope, type Done, ignore, needFeature, type Request } from './command-scope.js';
import { COMMAND } from './control-queue.js';

/** Where received frames go, by their hash. */
export interface RssConfig {
  /** `VIRTIO_NET_HASH_TYPE` bits, out of what the device can. */
  readonly hashTypes: number;
  /** 40 to rss_max_key_size bytes. */
  readonly key: Uint8Array;
  /** Queue pair per hash, modulo its length: a power of two, at most rss_max_indirection_table_length. */
  readonly table: readonly number[];
  /** Queue pair of frames without a hash. */
  readonly unclassified: number;
  /** Transmit queues that may be used. */
  readonly transmitQueues: number;
}

const RSS = 'virtio 1.4 §5.1.9.5.7.2';
const CONTEXT = 'virtio 1.4 §5.1.9.5.8.4';

/** Receive-side scaling, and RSS contexts beside the default one. @see virtio 1.4 §5.1.9.5.7, §5.1.9.5.8 */
export class RssCommands {
  private readonly scope: CommandScope;
  private readonly request: Request;
  private readonly configured: Set<number> = new Set();
  private contextsMax = 0;

  constructor(scope: CommandScope, request: Request) {
    this.scope = scope;
    this.request = request;
  }

  /** RSS contexts that are configured. */
  get contexts(): number {
    return this.configured.size;
  }

  /** Steer by hash from now on; it takes the place of VQ_PAIRS_SET, which takes its place in turn. */
  configure(config: RssConfig, done: Done = ignore): boolean {
    const { scope } = this;
    needFeature(scope.features, 'RSS', '§5.1.9.5.7.2');
    const data = this.encode(config);
    const { transmitQueues } = config;
    const sent = this.request(VIRTIO_NET_CTRL_CLASS.MQ, VIRTIO_NET_CTRL_MQ.RSS_CONFIG, data, 0, (outcome) => {
      if (outcome === COMMAND.OK) scope.pairsChanged(transmitQueues, false);
      done(outcome);
    });
    if (sent) scope.pairsChanged(transmitQueues, true);
    return sent;
  }

  /** Ask how many contexts there can be: that comes before `addContext`. */
  queryContexts(done: (outcome: number, most: number) => void): boolean {
    needFeature(this.scope.features, 'RSS_CONTEXT', '§5.1.9.5.8.4');
    const { CAP_GET } = VIRTIO_NET_CTRL_RSS_CTX;
    return this.request(VIRTIO_NET_CTRL_CLASS.RSS_CTX, CAP_GET, new Uint8Array(0), 2, (outcome, result) => {
      if (result.length === 2) this.contextsMax = result[0]! | (result[1]! << 8);
      done(outcome, this.contextsMax);
    });
  }

  /** @param id 1 to what {@link queryContexts} gave; a context that is there is changed */
  setContext(id: number, config: RssConfig, done: Done = ignore): boolean {
    this.checkContext(id);
    const rss = this.encode(config);
    const data = new Uint8Array(VIRTIO_NET_RSS_CTX.rss + rss.length);
    new DataView(data.buffer).setUint16(VIRTIO_NET_RSS_CTX.rss_ctx_id, id, true);
    data.set(rss, VIRTIO_NET_RSS_CTX.rss);
    const command = this.configured.has(id) ? VIRTIO_NET_CTRL_RSS_CTX.MOD : VIRTIO_NET_CTRL_RSS_CTX.ADD;
    return this.request(VIRTIO_NET_CTRL_CLASS.RSS_CTX, command, data, 0, (outcome) => {
      if (outcome === COMMAND.OK) this.configured.add(id);
      done(outcome);
    });
  }

  deleteContext(id: number, done: Done = ignore): boolean {
    this.checkContext(id);
    const data = Uint8Array.of(id & 0xff, id >> 8);
    return this.request(VIRTIO_NET_CTRL_CLASS.RSS_CTX, VIRTIO_NET_CTRL_RSS_CTX.DEL, data, 0, (outcome) => {
      if (outcome === COMMAND.OK) this.configured.delete(id);
      done(outcome);
    });
  }

  /** @throws VirtioError for hash types or a key that the device does not take */
  checkHash(hashTypes: number, key: Uint8Array): void {
    const known = Object.values(VIRTIO_NET_HASH_TYPE).reduce((bits, bit) => bits | bit, 0);
    const supported = this.scope.facts.supported_hash_types & known;
    if ((hashTypes & ~supported) !== 0)
      throw new VirtioError('hash_types', hashTypes, `bits of ${supported} only`, RSS);
    const { min } = VIRTIO_NET_CONFIG_LIMITS.rss_max_key_size;
    const max = this.scope.facts.rss_max_key_size;
    if (key.length < min || key.length > max)
      throw new VirtioError('hash_key_length', key.length, `${min} to ${max} bytes`, RSS);
  }

  private checkContext(id: number): void {
    needFeature(this.scope.features, 'RSS_CONTEXT', '§5.1.9.5.8.4');
    if (!Number.isInteger(id) || id < 1 || id > this.contextsMax)
      throw new VirtioError('rss_ctx_id', id, `1 to ${this.contextsMax}, as the device said`, CONTEXT);
  }

  /** struct virtio_net_rss_config */
  private encode({ hashTypes, key, table, unclassified, transmitQueues }: RssConfig): Uint8Array {
    this.checkHash(hashTypes, key);
    const entries = table.length;
    const most = this.scope.facts.rss_max_indirection_table_length;
    // The mask, entries - 1, is below the device's limit.
    if (entries < 1 || (entries & (entries - 1)) !== 0 || entries > most)
      throw new VirtioError('indirection_table', entries, `a power of two of entries, at most ${most}`, RSS);
    const { pairs } = this.scope;
    for (const pair of [...table, unclassified]) {
      if (!Number.isInteger(pair) || pair < 0 || pair >= pairs)
        throw new VirtioError('indirection_table', pair, `queue pairs 0 to ${pairs - 1}, those set up`, RSS);
    }
    if (!Number.isInteger(transmitQueues) || transmitQueues < 1 || transmitQueues > pairs)
      throw new VirtioError('max_tx_vq', transmitQueues, `1 to ${pairs}`, RSS);
    const at = VIRTIO_NET_RSS_CONFIG;
    const behind = at.indirection_table + 2 * entries;
    const data = new Uint8Array(behind + 3 + key.length);
    const view = new DataView(data.buffer);
    view.setUint32(at.hash_types, hashTypes, true);
    view.setUint16(at.indirection_table_mask, entries - 1, true);
    // Bits 1 to 16 of a receive queue's index are the number of its pair.
    view.setUint16(at.unclassified_queue, unclassified, true);
    table.forEach((pair, i) => {
      view.setUint16(at.indirection_table + 2 * i, pair, true);
    });
    view.setUint16(behind, transmitQueues, true);
    data[behind + 2] = key.length;
    data.set(key, behind + 3);
    return data;
  }
}
