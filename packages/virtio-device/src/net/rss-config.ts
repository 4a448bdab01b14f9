import { Toeplitz } from '@ringwire/net-offload';

import {
  RSS_RQ_ID_RESERVED,
  VIRTIO_NET_CONFIG_LIMITS,
  VIRTIO_NET_HASH_CONFIG,
  VIRTIO_NET_HASH_TUNNEL_TYPE,
  VIRTIO_NET_HASH_TYPE,
  VIRTIO_NET_RSS_CONFIG,
} from '@ringwire/virtio-spec/net';

const anyOf = (table: Readonly<Record<string, number>>): number => Object.values(table).reduce((all, bit) => all | bit);

/** virtio 1.4 §5.1.4: what the device can hash. Any input needs at most 36 + 4 bytes of a key. */
export const HASH_TYPES: number = anyOf(VIRTIO_NET_HASH_TYPE);
export const TUNNEL_TYPES: number = anyOf(VIRTIO_NET_HASH_TUNNEL_TYPE);
export const RSS_KEY_BYTES_MAX = 40;
export const RSS_TABLE_ENTRIES_MAX = 128;

/** How hashes are calculated: of HASH_CONFIG, or the half of RSS_CONFIG that is about hashing. */
export interface HashRules {
  readonly hashTypes: number;
  /** Undefined when no type is enabled. */
  readonly toeplitz: Toeplitz | undefined;
  /** The driver's configuration as it was read, a copy. */
  readonly bytes: Uint8Array;
}

/** virtio 1.4 §5.1.9.5.7.1: one RSS configuration, checked. Queues are numbers of pairs. */
export interface RssConfig extends HashRules {
  readonly table: Uint16Array;
  readonly unclassified: number;
  /** max_tx_vq: transmit queues that the driver uses. */
  readonly txPairs: number;
}

export const NO_HASH: HashRules = { hashTypes: 0, toeplitz: undefined, bytes: new Uint8Array(0) };

/**
 * Read struct virtio_net_rss_config.
 * @param data  the driver's bytes, a copy; what follows the structure is ignored
 * @param pairs queue pairs that there are
 * @returns undefined for a configuration that the device refuses
 */
export function readRssConfig(data: Uint8Array, pairs: number): RssConfig | undefined {
  const at = VIRTIO_NET_RSS_CONFIG;
  if (data.length < at.indirection_table) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const entries = view.getUint16(at.indirection_table_mask, true) + 1;
  if ((entries & (entries - 1)) !== 0 || entries > RSS_TABLE_ENTRIES_MAX) return undefined;
  const behind = at.indirection_table + 2 * entries;
  if (data.length < behind + 3) return undefined;
  const unclassified = view.getUint16(at.unclassified_queue, true);
  const table = Uint16Array.from({ length: entries }, (_, i) => view.getUint16(at.indirection_table + 2 * i, true));
  if (!isPair(unclassified, pairs) || !table.every((queue) => isPair(queue, pairs))) return undefined;
  const txPairs = view.getUint16(behind, true);
  if (txPairs < 1 || txPairs > pairs) return undefined;
  const rules = readHashRules(view.getUint32(at.hash_types, true), data, behind + 2);
  return rules === undefined ? undefined : { ...rules, table, unclassified, txPairs };
}

/** Read struct virtio_net_hash_config. `reserved` is not looked at. @returns as {@link readRssConfig} */
export function readHashConfig(data: Uint8Array): HashRules | undefined {
  const at = VIRTIO_NET_HASH_CONFIG;
  if (data.length < at.hash_key_data) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return readHashRules(view.getUint32(at.hash_types, true), data, at.hash_key_length);
}

/** struct rss_rq_id: bits 1 to 16 of a receive queue's index are its pair. */
const isPair = (id: number, pairs: number): boolean => (id & RSS_RQ_ID_RESERVED) === 0 && id < pairs;

/**
 * A key that is shorter than the longest input needs goes on with zeros: the hash types that it is meant for do not get
 * that far.
 * @param at where u8 hash_key_length is, and the key behind it, which ends the configuration
 */
function readHashRules(hashTypes: number, data: Uint8Array, at: number): HashRules | undefined {
  const key = data.subarray(at);
  const keyBytes = key[0]!;
  const bytes = data.slice(0, at + 1 + keyBytes);
  if ((hashTypes & ~HASH_TYPES) !== 0 || keyBytes > RSS_KEY_BYTES_MAX || key.length < 1 + keyBytes) return undefined;
  if (hashTypes === 0) return { ...NO_HASH, bytes };
  if (keyBytes === 0) return undefined;
  const whole = new Uint8Array(VIRTIO_NET_CONFIG_LIMITS.rss_max_key_size.min);
  whole.set(key.subarray(1, 1 + keyBytes));
  return { hashTypes, toeplitz: new Toeplitz(whole), bytes };
}
