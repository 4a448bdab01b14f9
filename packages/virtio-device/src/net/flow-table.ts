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
  private readonly keys: Uint32Array = new Uint32Array(FLOWS);
  private readonly pairs: Uint16Array = new Uint16Array(FLOWS);

  clear(): void {
    this.keys.fill(0);
  }

  /** @param key of {@link flowKey}, not 0 */
  set(key: number, pair: number): void {
    const at = key & (FLOWS - 1);
    this.keys[at] = key;
    this.pairs[at] = pair;
  }

  /** @returns the flow's pair, or -1 */
  get(key: number): number {
    const at = key & (FLOWS - 1);
    return this.keys[at] === key ? this.pairs[at]! : -1;
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
