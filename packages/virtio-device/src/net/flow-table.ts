import type { IpHeaders } from '@ringwire/net-offload';

/** Flows that are remembered; a power of two. A newer one takes the place of an older one with the same hash. */
const FLOWS = 4096;
/** Spreads keys over the table: 2^32 divided by the golden ratio. */
const SPREAD = 0x9e37_79b1;

/**
 * virtio 1.4 §5.1.9.5.6: which transmit queue a flow last left on. Both directions of a flow have one key, so that what
 * comes back finds what went out.
 */
export class FlowTable {
  /** A key and a pair for each flow; threads that share them may write at any time. */
  private readonly words: Int32Array;

  /** @param words 2 · 4096, shared between the threads that serve one device's pairs; its own unless given */
  constructor(words: Int32Array = new Int32Array(2 * FLOWS)) {
    this.words = words;
  }

  clear(): void {
    this.words.fill(0);
  }

  /** @param key of {@link flowKey}, not 0 */
  set(key: number, pair: number): void {
    // Nearly always it is there already, and looking is cheaper than writing.
    if (this.get(key) === pair) return;
    const { words } = this;
    const at = (key & (FLOWS - 1)) << 1;
    // Nobody finds the new key with the old pair.
    Atomics.store(words, at, 0);
    Atomics.store(words, at + 1, pair);
    Atomics.store(words, at, key | 0);
  }

  /** @returns the flow's pair, or -1 */
  get(key: number): number {
    const { words } = this;
    const at = (key & (FLOWS - 1)) << 1;
    if (Atomics.load(words, at) !== (key | 0)) return -1;
    const pair = Atomics.load(words, at + 1);
    return Atomics.load(words, at) === (key | 0) ? pair : -1;
  }
}

/**
 * @param base where the frame's first byte lies in `u8`
 * @returns 1 … 2^32-1, the same for both directions of a flow; 0 for a frame without IP
 */
export function flowKey(u8: Uint8Array, base: number, ip: IpHeaders): number {
  if (ip.version === 0) return 0;
  const bytes = ip.version === 4 ? 4 : 16;
  let sum = ip.protocol;
  for (let i = 0; i < bytes; i += 4) {
    sum ^= word(u8, base + ip.source + i);
    sum ^= word(u8, base + ip.destination + i);
  }
  if (ip.transport !== 0) {
    const ports = word(u8, base + ip.payload);
    sum ^= ((ports >>> 16) ^ (ports & 0xffff)) * 0x1_0001;
  }
  const key = Math.imul(sum, SPREAD);
  // 0 stands for no flow.
  return (key ^ (key >>> 16)) >>> 0 || 1;
}

function word(u8: Uint8Array, at: number): number {
  return (u8[at]! << 24) | (u8[at + 1]! << 16) | (u8[at + 2]! << 8) | u8[at + 3]!;
}
