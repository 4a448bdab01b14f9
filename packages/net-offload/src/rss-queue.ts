import { VIRTIO_NET_HASH_REPORT } from '@ringwire/virtio-spec/net';
import type { PacketHash } from './packet-hash.js';

/**
 * The receive queue that a frame belongs to. virtio 1.4 §5.1.9.5.7.3
 * @param table        indirection_table: a power of two of receive queue numbers
 * @param unclassified unclassified_queue, for frames without a hash
 */
export function rssQueue(hash: PacketHash, table: Uint16Array, unclassified: number): number {
  if (hash.report === VIRTIO_NET_HASH_REPORT.NONE) return unclassified;
  return table[hash.value & (table.length - 1)]!;
}
