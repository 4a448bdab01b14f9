import type { MemoryReader, PendingElement } from '@ringwire/ring-oracle';
import { frameAt, frameCount } from './frames.js';
import type { Step } from './set-schema.js';
import type { Tally } from './tally.js';

/** One transmit element's frame; `known` says which bytes were saved. */
interface QueuedFrame {
  readonly bytes: Uint8Array;
  readonly known: Uint8Array;
}

export interface TransmitQueue {
  readonly name: string;
  readonly elements: readonly PendingElement[];
}

export interface TransmitRules {
  /** Bytes of virtio_net_hdr before each frame. */
  readonly headerLength: number;
  /** The device transmits writable buffers too: see `known-faults.ts`. */
  readonly anyAccess: boolean;
}

const PAGE = 4096n;

/** A set keeps the buffers of so many frames at least. */
const SAVED_FRAMES = 16;

/**
 * The frames that left are those in the rings, less their headers; the frames of one queue in their order.
 */
export function checkTransmit(
  memory: MemoryReader,
  queues: readonly TransmitQueue[],
  rules: TransmitRules,
  step: Step,
  tally: Tally,
): void {
  const count = frameCount(step.frames_out);
  const waiting = queues.map(({ name, elements }) => ({ name, next: 0, elements }));
  const total = waiting.reduce((sum, { elements }) => sum + elements.length, 0);
  tally.equal('frames transmitted', total, count);
  for (let i = 0; i < count; i++) {
    const frame = frameAt(step.frames_out, i, 'out');
    let reason = 'no transmit element is left';
    const from = waiting.find((queue) => {
      const element = queue.elements[queue.next];
      if (element === undefined) return false;
      const queued = readFrame(memory, element, rules);
      const difference = compare(queued, frame);
      if (difference === null) return true;
      reason = `${queue.name} element ${element.position}: ${difference}`;
      return false;
    });
    if (from === undefined) {
      tally.differ(`frame ${i} that left: ${reason}`);
      return;
    }
    const queued = readFrame(memory, from.elements[from.next]!, rules);
    const missing = queued.known.reduce((sum, known) => sum + 1 - known, 0);
    tally.bytesNotSaved += missing;
    if (i < SAVED_FRAMES && missing > 0) tally.differ(`frame ${i} that left: ${missing} bytes of it were not saved`);
    tally.framesOut++;
    from.next++;
  }
}

function readFrame(
  memory: MemoryReader,
  element: PendingElement,
  { headerLength, anyAccess }: TransmitRules,
): QueuedFrame {
  const buffers = element.descriptors.filter(({ access }) => anyAccess || access === 'readable');
  const total = buffers.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(Math.max(0, total - headerLength));
  const known = new Uint8Array(bytes.length);
  let at = -headerLength;
  for (const descriptor of buffers) {
    const start = BigInt(descriptor.address);
    const end = start + BigInt(descriptor.length);
    for (let address = start; address < end; ) {
      const pageEnd = (address / PAGE + 1n) * PAGE;
      const stop = pageEnd < end ? pageEnd : end;
      const length = Number(stop - address);
      const piece = memory.read(address, length);
      const skip = Math.max(0, -at);
      if (piece !== null && skip < length) {
        bytes.set(piece.subarray(skip), at + skip);
        known.fill(1, at + skip, at + length);
      }
      at += length;
      address = stop;
    }
  }
  return { bytes, known };
}

function compare({ bytes, known }: QueuedFrame, frame: Uint8Array): string | null {
  if (bytes.length !== frame.length) return `${bytes.length} bytes wait, ${frame.length} left`;
  for (let at = 0; at < frame.length; at++) {
    if (known[at] === 1 && bytes[at] !== frame[at]) return `byte ${at} is ${bytes[at]}, ${frame[at]} left`;
  }
  return null;
}
