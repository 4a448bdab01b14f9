import type { HostMemory } from '@ringwire/guest-memory';
import type { Mapping } from '@ringwire/peer-memory';
import { regionBytes } from './inflight-layout.js';
import type { InflightRegion } from './inflight-record.js';

/** What a front-end keeps of chains in flight, for the back-end that comes after this one: a region for each ring. */
export interface InflightArea {
  readonly mapping: Mapping;
  /** Bytes that are mapped. */
  readonly bytes: number;
  /** Rings that it has a region for. */
  readonly queues: number;
  /** Descriptors of each ring. */
  readonly size: number;
}

/** @returns a ring's region; undefined: it has none; or why there can be none */
export function regionOfRing(
  { mapping, bytes, queues, size }: InflightArea,
  memory: HostMemory,
  ring: { readonly index: number; readonly size: number },
  packed: boolean,
): InflightRegion | undefined | string {
  const { index } = ring;
  if (index >= queues) return undefined;
  if (ring.size > size) return `ring ${index} has ${ring.size} descriptors, its in-flight region ${size}`;
  const each = regionBytes(size, packed);
  if ((index + 1) * each > bytes) return `the in-flight region of ring ${index} is past the end of the area`;
  return { memory, at: mapping.host + index * each, size };
}
