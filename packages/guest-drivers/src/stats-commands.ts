import { VirtioError } from '@ringwire/virtio-spec';
import {
  type NetStatsType,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_QUEUE_STATS,
  VIRTIO_NET_CTRL_STATS,
  VIRTIO_NET_STATS_FIELDS,
  VIRTIO_NET_STATS_REPLY_HDR,
  VIRTIO_NET_STATS_TYPE,
} from '@ringwire/virtio-spec/net';
import { type CommandScope, needFeature, type Request } from './command-scope.js';
import { COMMAND, COMMAND_BYTES_MAX } from './control-queue.js';

/** Statistics of one queue that are asked for. */
export interface StatsWish {
  /** Virtqueue index. */
  readonly index: number;
  readonly types: readonly NetStatsType[];
}

/** One reply: the counters by their names in the specification. */
export interface DeviceStats {
  readonly index: number;
  readonly type: NetStatsType;
  readonly counters: Readonly<Record<string, bigint>>;
}

const HERE = 'virtio 1.4 §5.1.9.5.11.13';
const QUERY_BYTES = 8;
/** Counters that a later specification may add to a reply: room for so many behind those that are known. */
const SPARE_BYTES = 64;

/** Device statistics. @see virtio 1.4 §5.1.9.5.11 */
export class StatsCommands {
  private readonly scope: CommandScope;
  private readonly request: Request;
  private supported: Set<NetStatsType> = new Set();

  constructor(scope: CommandScope, request: Request) {
    this.scope = scope;
    this.request = request;
  }

  /** Ask which types there are: that comes before {@link get}. Types that this specification does not have are left out. */
  query(done: (outcome: number, types: readonly NetStatsType[]) => void): boolean {
    needFeature(this.scope.features, 'DEVICE_STATS', '§5.1.9.5.11');
    const { QUERY } = VIRTIO_NET_CTRL_STATS;
    return this.request(VIRTIO_NET_CTRL_CLASS.STATS, QUERY, new Uint8Array(0), QUERY_BYTES, (outcome, result) => {
      if (result.length >= QUERY_BYTES) {
        const names = Object.keys(VIRTIO_NET_STATS_TYPE) as NetStatsType[];
        this.supported = new Set(names.filter((name) => isSet(result, VIRTIO_NET_STATS_TYPE[name])));
      }
      done(outcome, [...this.supported]);
    });
  }

  /**
   * @param done gets the replies that came whole; some may be missing when a device has more counters than there was
   *             room for: ask for fewer at a time then
   * @throws VirtioError for types that the queue does not have or the device did not name
   */
  get(wishes: readonly StatsWish[], done: (outcome: number, stats: readonly DeviceStats[]) => void): boolean {
    needFeature(this.scope.features, 'DEVICE_STATS', '§5.1.9.5.11');
    const at = VIRTIO_NET_CTRL_QUEUE_STATS;
    const data = new Uint8Array(wishes.length * at.SIZE);
    const view = new DataView(data.buffer);
    let resultBytes = 0;
    wishes.forEach(({ index, types }, i) => {
      view.setUint16(i * at.SIZE + at.vq_index, index, true);
      for (const type of types) {
        this.check(index, type);
        const bit = VIRTIO_NET_STATS_TYPE[type];
        data[i * at.SIZE + at.types_bitmap + (bit >> 3)]! |= 1 << (bit & 7);
        resultBytes += replyBytes(type) + SPARE_BYTES;
      }
    });
    return this.ask(data, resultBytes, wishes, done);
  }

  /** A result that came back full, with replies missing, is asked for again with twice the room. */
  private ask(
    data: Uint8Array,
    resultBytes: number,
    wishes: readonly StatsWish[],
    done: (outcome: number, stats: readonly DeviceStats[]) => void,
  ): boolean {
    const { GET } = VIRTIO_NET_CTRL_STATS;
    return this.request(VIRTIO_NET_CTRL_CLASS.STATS, GET, data, resultBytes, (outcome, result) => {
      const stats = parseReplies(result);
      const wanted = wishes.reduce((sum, { types }) => sum + types.length, 0);
      const mayGrow = 2 * resultBytes + data.length <= COMMAND_BYTES_MAX;
      if (outcome === COMMAND.OK && stats.length < wanted && result.length === resultBytes && mayGrow) {
        if (this.ask(data, 2 * resultBytes, wishes, done)) return;
      }
      done(outcome, stats);
    });
  }

  private check(index: number, type: NetStatsType): void {
    const { controlIndex, pairs } = this.scope;
    const isControl = index === controlIndex;
    const kind = isControl ? 'CVQ' : index % 2 === 0 ? 'RX' : 'TX';
    if (!isControl && !(Number.isInteger(index) && index >= 0 && index < 2 * pairs))
      throw new VirtioError('vq_index', index, `0 to ${2 * pairs - 1}, or ${controlIndex}`, HERE);
    if (!type.startsWith(kind)) throw new VirtioError('types_bitmap', type, `a ${kind} type for queue ${index}`, HERE);
    if (!this.supported.has(type)) throw new VirtioError('types_bitmap', type, 'a type that the device named', HERE);
  }
}

const isSet = (bitmap: Uint8Array, bit: number): boolean => ((bitmap[bit >> 3]! >>> (bit & 7)) & 1) === 1;

const replyBytes = (type: NetStatsType): number =>
  VIRTIO_NET_STATS_REPLY_HDR.SIZE + 8 * VIRTIO_NET_STATS_FIELDS[type].length;

/** Replies up to the first one that does not fit: a size that lies leads no further. Unknown types are passed over. */
function parseReplies(result: Uint8Array): DeviceStats[] {
  const header = VIRTIO_NET_STATS_REPLY_HDR;
  const view = new DataView(result.buffer, result.byteOffset, result.length);
  const stats: DeviceStats[] = [];
  for (let at = 0; at + header.SIZE <= result.length; ) {
    const size = view.getUint16(at + header.size, true);
    if (size < header.SIZE || at + size > result.length) break;
    const bit = view.getUint8(at + header.type);
    const type = (Object.keys(VIRTIO_NET_STATS_TYPE) as NetStatsType[]).find(
      (name) => VIRTIO_NET_STATS_TYPE[name] === bit,
    );
    if (type !== undefined && size >= replyBytes(type)) {
      const first = at + header.SIZE;
      const entries = VIRTIO_NET_STATS_FIELDS[type].map((name, i) => [name, view.getBigUint64(first + 8 * i, true)]);
      const index = view.getUint16(at + header.vq_index, true);
      stats.push({ index, type, counters: Object.fromEntries(entries) as Record<string, bigint> });
    }
    at += size;
  }
  return stats;
}
