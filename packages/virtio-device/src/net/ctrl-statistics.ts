import {
  VIRTIO_NET_CTRL_QUEUE_STATS,
  VIRTIO_NET_CTRL_STATS,
  VIRTIO_NET_F,
  VIRTIO_NET_STATS_FIELDS,
  VIRTIO_NET_STATS_REPLY_HDR,
  VIRTIO_NET_STATS_TYPE,
} from '@ringwire/virtio-spec/net';
import type { ControlCommand } from './ctrl-command.js';
import type { NetQueue } from './net-queue.js';
import type { NetState } from './net-state.js';
import { CVQ_STAT, RX_STAT, TX_STAT } from './net-statistics.js';

const F = VIRTIO_NET_F;
const REQUEST = VIRTIO_NET_CTRL_QUEUE_STATS;
const HDR = VIRTIO_NET_STATS_REPLY_HDR;
const COUNTER_BYTES = 8;

/** Which queues have a type of statistics, where its counters are among the queue's, and what has to be negotiated. */
interface TypeRow {
  readonly type: number;
  readonly of: 'rx' | 'tx' | 'control';
  readonly first: number;
  readonly counters: number;
  /** Any of these; none for a type that is always there. */
  readonly features: readonly number[];
}

const count = (type: keyof typeof VIRTIO_NET_STATS_FIELDS): number => VIRTIO_NET_STATS_FIELDS[type].length;
const T = VIRTIO_NET_STATS_TYPE;

/** virtio 1.4 §5.1.9.5.11.3 to .9. The speed types count what a rate limit costs, and the device has none. */
const TYPES: readonly TypeRow[] = [
  { type: T.RX_BASIC, of: 'rx', first: RX_STAT.rx_notifications, counters: count('RX_BASIC'), features: [] },
  { type: T.RX_CSUM, of: 'rx', first: RX_STAT.rx_csum_valid, counters: count('RX_CSUM'), features: [F.GUEST_CSUM] },
  {
    type: T.RX_GSO,
    of: 'rx',
    first: RX_STAT.rx_gso_packets,
    counters: count('RX_GSO'),
    features: [F.GUEST_TSO4, F.GUEST_TSO6],
  },
  { type: T.TX_BASIC, of: 'tx', first: TX_STAT.tx_notifications, counters: count('TX_BASIC'), features: [] },
  { type: T.TX_CSUM, of: 'tx', first: TX_STAT.tx_csum_none, counters: count('TX_CSUM'), features: [F.CSUM] },
  {
    type: T.TX_GSO,
    of: 'tx',
    first: TX_STAT.tx_gso_packets,
    counters: count('TX_GSO'),
    features: [F.HOST_TSO4, F.HOST_TSO6, F.HOST_USO],
  },
  { type: T.CVQ, of: 'control', first: CVQ_STAT.command_num, counters: count('CVQ'), features: [] },
];

/** supported_stats_types, as two words. */
const SUPPORTED: readonly [number, number] = [0, 1].map((word) =>
  TYPES.reduce((bits, { type }) => (type >>> 5 === word ? bits | (1 << (type & 31)) : bits), 0),
) as [number, number];

/** Bytes of a queue's longest answer, per request of 16 bytes. */
export const STATISTICS_BYTES_MAX: number = Math.max(
  ...(['rx', 'tx', 'control'] as const).map((of) =>
    TYPES.filter((row) => row.of === of).reduce((sum, row) => sum + replyBytes(row), 0),
  ),
);

function replyBytes({ counters }: TypeRow): number {
  return HDR.SIZE + COUNTER_BYTES * counters;
}

/** The class STATS, virtio 1.4 §5.1.9.5.11. */
export class StatisticsCommands {
  private readonly state: NetState;
  private readonly dataQueues: readonly NetQueue[];
  private readonly control: NetQueue;

  constructor(state: NetState, dataQueues: readonly NetQueue[], control: NetQueue) {
    this.state = state;
    this.dataQueues = dataQueues;
    this.control = control;
  }

  run(command: ControlCommand): boolean {
    if (!this.state.has(F.DEVICE_STATS)) return false;
    switch (command.command) {
      case VIRTIO_NET_CTRL_STATS.QUERY:
        return this.query(command);
      case VIRTIO_NET_CTRL_STATS.GET:
        return this.get(command);
      default:
        return false;
    }
  }

  private query(command: ControlCommand): boolean {
    if (command.room < COUNTER_BYTES) return false;
    command.resultView.setUint32(0, SUPPORTED[0], true);
    command.resultView.setUint32(4, SUPPORTED[1], true);
    command.resultBytes = COUNTER_BYTES;
    return true;
  }

  /** All requests are checked, and fit into the driver's room together, before anything is answered. */
  private get(command: ControlCommand): boolean {
    const { length, data } = command;
    if (length !== data.length || length === 0 || length % REQUEST.SIZE !== 0) return false;
    let total = 0;
    for (let at = 0; at < length; at += REQUEST.SIZE) {
      const bytes = this.answerBytes(command, at);
      if (bytes < 0) return false;
      total += bytes;
    }
    if (total > command.room) return false;
    for (let at = 0; at < length; at += REQUEST.SIZE) this.answer(command, at);
    return true;
  }

  /** @returns bytes of the answer to the request at `at`, or -1 for one that is refused */
  private answerBytes(command: ControlCommand, at: number): number {
    const index = command.u16(at + REQUEST.vq_index);
    const queue = this.queueAt(index);
    const left = [command.u32(at + REQUEST.types_bitmap), command.u32(at + REQUEST.types_bitmap + 4)];
    if (queue === undefined) return -1;
    let bytes = 0;
    for (const row of TYPES) {
      const bit = 1 << (row.type & 31);
      if ((left[row.type >>> 5]! & bit) === 0) continue;
      if (row.of !== this.kindOf(index) || !this.isThere(row)) return -1;
      left[row.type >>> 5]! &= ~bit;
      bytes += replyBytes(row);
    }
    return left[0] === 0 && left[1] === 0 ? bytes : -1;
  }

  private answer(command: ControlCommand, at: number): void {
    const index = command.u16(at + REQUEST.vq_index);
    const { words } = this.queueAt(index)!.statistics;
    const view = command.resultView;
    for (const row of TYPES) {
      const wanted = command.u32(at + REQUEST.types_bitmap + (row.type >>> 5) * 4);
      if ((wanted & (1 << (row.type & 31))) === 0) continue;
      const reply = command.resultBytes;
      view.setUint8(reply + HDR.type, row.type);
      view.setUint8(reply + HDR.reserved, 0);
      view.setUint16(reply + HDR.vq_index, index, true);
      view.setUint16(reply + HDR.reserved1, 0, true);
      view.setUint16(reply + HDR.size, replyBytes(row), true);
      for (let word = 0; word < 2 * row.counters; word++)
        view.setUint32(reply + HDR.SIZE + 4 * word, words[2 * row.first + word]!, true);
      command.resultBytes += replyBytes(row);
    }
  }

  private isThere({ features }: TypeRow): boolean {
    return features.length === 0 || features.some((feature) => this.state.has(feature));
  }

  private queueAt(index: number): NetQueue | undefined {
    if (index === this.state.controlIndex) return this.control;
    return index < 2 * this.state.pairsMax ? this.dataQueues[index] : undefined;
  }

  private kindOf(index: number): TypeRow['of'] {
    if (index === this.state.controlIndex) return 'control';
    return (index & 1) === 0 ? 'rx' : 'tx';
  }
}
