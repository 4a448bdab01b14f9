import type { MsixMessage, Transport, VectorPlan } from './transport.js';

/**
 * Map events to as many vectors as there are: one for each queue and one for configuration, or one for all queues, or
 * one for everything. Where a device refuses a mapping, fewer are tried, and then the interrupt line.
 * @param queues   virtqueue indexes; none of them is enabled yet
 * @param messages the host's, one per vector that it can receive
 * @returns the plan, or undefined for the interrupt line
 * @see virtio 1.4 §4.1.5.1.2
 */
export function mapInterrupts(
  transport: Transport,
  queues: readonly number[],
  messages: readonly MsixMessage[],
): VectorPlan | undefined {
  const available = Math.min(transport.vectorLimit, messages.length);
  for (const [firstQueue, step] of [
    [1, 1],
    [1, 0],
    [0, 0],
  ] as const) {
    const needed = firstQueue + step * (queues.length - 1) + 1;
    if (needed > available) continue;
    const plan = { config: 0, queues: queues.map((index, i) => ({ index, vector: firstQueue + step * i })) };
    if (transport.mapVectors(plan, messages.slice(0, needed))) return plan;
  }
  transport.unmapVectors();
  return undefined;
}
