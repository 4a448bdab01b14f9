import { gather, type HostMemory, scatter } from '@ringwire/guest-memory';
import type { ChainBurst } from '../chain-burst.js';
import type { DeviceQueue } from '../device-queue.js';

/** What a device did in one turn. */
export interface Turn {
  readonly taken: number;
  /** Device-readable bytes of each good chain that has any: what would have been transmitted. */
  readonly sent: Uint8Array[];
  /** `CHAIN_FAULT` codes of the chains given up. */
  readonly faults: number[];
  /** Whether the driver is to be notified. */
  readonly notify: boolean;
}

/** What the device writes into each good chain, as far as there is room. */
export const PAYLOAD: Uint8Array = Uint8Array.from({ length: 48 }, (_, at) => 0x30 + at);

/** One turn of a device, as in a device's loop: take a burst, handle each chain, put and publish all of it. */
export function deviceTurn(memory: HostMemory, queue: DeviceQueue, burst: ChainBurst): Turn {
  const sent: Uint8Array[] = [];
  const faults: number[] = [];
  burst.clear();
  const taken = queue.takeBurst(burst, burst.capacity);
  for (let i = 0; i < burst.count; i++) {
    if (burst.fault[i] !== 0) {
      faults.push(burst.fault[i]!);
      burst.written[i] = 0;
      continue;
    }
    const readable = readableBytes(memory, burst, i);
    if (readable.length > 0) sent.push(readable);
    const writable = burst.firstWritable[i]!;
    burst.written[i] = scatter(memory, burst.segments, writable, burst.end(i) - writable, PAYLOAD);
  }
  queue.putUsedBurst(burst, 0, burst.count);
  return { taken, sent, faults, notify: queue.publishUsed() };
}

/** The device-readable bytes of chain `i`. */
export function readableBytes(memory: HostMemory, burst: ChainBurst, i: number): Uint8Array {
  const bytes = new Uint8Array(burst.readableBytes(i));
  gather(memory, burst.segments, burst.first[i]!, burst.firstWritable[i]! - burst.first[i]!, bytes);
  return bytes;
}
