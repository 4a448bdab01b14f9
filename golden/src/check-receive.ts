import type { PendingElement } from '@ringwire/ring-oracle';
import type { Returned } from './check-returned.js';
import type { DeviceMemory } from './device-memory.js';
import { frameCount, frameLength } from './frames.js';
import type { Placement, Step } from './set-schema.js';
import type { Tally } from './tally.js';

/** A receive queue as the step leaves it: `taken` grows, with the bytes written into each element. */
export interface ReceiveQueue {
  readonly name: string;
  readonly pending: readonly PendingElement[];
  readonly taken: Returned[];
}

export interface ReceiveRules {
  /** Bytes of virtio_net_hdr before each frame. */
  readonly headerLength: number;
  /** VIRTIO_NET_F_MRG_RXBUF: a frame may go on in the next element, which has no header. */
  readonly mergeable: boolean;
  readonly memory: DeviceMemory;
}

/** A piece of a frame in physical memory. */
interface Run {
  readonly offset: number;
  readonly address: bigint;
  readonly length: number;
}

/** Each frame lies in the next receive elements of some queue, after the header of the first. */
export function checkReceive(queues: readonly ReceiveQueue[], rules: ReceiveRules, step: Step, tally: Tally): void {
  const count = frameCount(step.inject);
  const found = new Map<number, Placement[]>();
  for (const placement of step.placements) {
    const frame = placement[0];
    if (frame >= count) tally.differ(`${step.name}: a placement of frame ${frame}, and ${count} were injected`);
    found.set(frame, [...(found.get(frame) ?? []), placement]);
  }
  for (let i = 0; i < count; i++) {
    const length = frameLength(step.inject, i);
    const placements = found.get(i);
    // A frame that was found nowhere was not delivered; the positions afterwards tell whether that is right.
    if (placements === undefined) continue;
    const theirs = runsText(placements.map(([, offset, address, bytes]) => ({ offset, address, length: bytes })));
    let reason = 'no receive element is left';
    const hit = queues.some((queue) => {
      const delivery = deliver(queue, length, rules);
      if (delivery === null) return false;
      if (typeof delivery === 'string') {
        reason = `${queue.name}: ${delivery}`;
        return false;
      }
      const ours = runsText(delivery.runs);
      reason = `${queue.name} would take it to ${ours}`;
      if (ours === theirs) queue.taken.push(...delivery.taken);
      return ours === theirs;
    });
    if (!hit) {
      tally.differ(`frame ${i} of "${step.name.split(':')[0]}" was found at ${theirs}; ${reason}`);
      return;
    }
    tally.placements += placements.length;
  }
}

/** Where a frame of this length goes when this queue takes it; null when it has no room, or why it cannot be written. */
function deliver(
  queue: ReceiveQueue,
  length: number,
  { headerLength, mergeable, memory }: ReceiveRules,
): { runs: Run[]; taken: Returned[] } | string | null {
  const runs: Run[] = [];
  const taken: Returned[] = [];
  let offset = 0;
  for (let next = queue.taken.length; offset < length || taken.length === 0; next++) {
    const element = queue.pending[next];
    if (element === undefined || (taken.length > 0 && !mergeable)) return null;
    let skip = taken.length === 0 ? headerLength : 0;
    let written = skip;
    for (const descriptor of element.descriptors) {
      if (descriptor.access !== 'writable') continue;
      const header = Math.min(skip, descriptor.length);
      const bytes = Math.min(length - offset, descriptor.length - header);
      skip -= header;
      const reached = memory.reach(BigInt(descriptor.address) + BigInt(header), bytes, 'write');
      if (typeof reached === 'string') return reached;
      for (const run of reached) {
        if (run.length > 0) runs.push({ offset, ...run });
        offset += run.length;
      }
      written += bytes;
    }
    taken.push({ element, written });
  }
  return { runs, taken };
}

/** Runs in frame order, neighbours made one. */
function runsText(runs: readonly Run[]): string {
  const joined: { offset: number; address: bigint; length: number }[] = [];
  for (const run of [...runs].sort((a, b) => a.offset - b.offset)) {
    const last = joined.at(-1);
    const next = last !== undefined && last.address + BigInt(last.length) === run.address;
    if (next && last.offset + last.length === run.offset) last.length += run.length;
    else joined.push({ ...run });
  }
  return joined.map(({ offset, address, length }) => `[${offset}, 0x${address.toString(16)}, ${length}]`).join(' ');
}
