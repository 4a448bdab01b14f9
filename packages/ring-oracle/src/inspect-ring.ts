import type { WalkContext } from './chain-walk.js';
import { Findings } from './findings.js';
import { inspectPacked } from './inspect-packed.js';
import { inspectSplit } from './inspect-split.js';
import { hex } from './memory-reader.js';
import type { PendingElement, RingReport, RingTotals } from './report.js';
import { checkInput, descriptorLimit, findingLimit, type RingInput, ringFeatures } from './ring-input.js';
import { checkParts, readParts } from './ring-parts.js';
import { whyPacked } from './why-packed.js';
import { whySplit } from './why-split.js';

/**
 * Decode one virtqueue from memory and judge it by virtio 1.4.
 *
 * Only what is pending is judged, not what stale descriptors hold. Whatever the bytes are, this neither throws
 * nor follows more than `maxDescriptors` descriptors. Memory is read once per field; a running guest may still
 * change the ring between two fields.
 * @throws VirtioError when the input itself is impossible, such as a queue size of 0
 */
export function inspectRing(input: RingInput): RingReport {
  checkInput(input);
  const { layout, size, memory } = input;
  const find = new Findings(findingLimit(input));
  const parts = readParts(input);
  checkParts(input, parts, find);
  const context: WalkContext = {
    layout,
    size,
    memory,
    features: ringFeatures(input.features),
    parts,
    find,
    budget: { left: descriptorLimit(input), exceeded: false },
    why: new Set(),
  };
  const { contents, why } = inspectContents(input, context);
  if (context.budget.exceeded) {
    why.push(`More than ${descriptorLimit(input)} descriptors are pending: the rest was not decoded.`);
  }
  return {
    layout,
    size,
    features: input.features === undefined ? null : hex(input.features),
    parts: parts.all.map((part) => part.report()),
    header: contents.header,
    positions: contents.positions,
    inFlight: contents.inFlight,
    pending: contents.pending,
    totals: totals(contents.pending),
    returned: contents.returned,
    slots: contents.slots,
    violations: find.violations,
    remarks: find.remarks,
    findingsOmitted: find.omitted,
    truncated: context.budget.exceeded,
    why,
  };
}

type Contents = Pick<RingReport, 'header' | 'positions' | 'inFlight' | 'pending' | 'returned' | 'slots'>;

function inspectContents(input: RingInput, context: WalkContext): { contents: Contents; why: string[] } {
  if (input.layout === 'split') {
    const contents = inspectSplit(input, context);
    return { contents, why: whySplit(input, contents, context) };
  }
  const contents = inspectPacked(input, context);
  return { contents, why: whyPacked(input, contents, context) };
}

function totals(pending: readonly PendingElement[]): RingTotals {
  let descriptors = 0;
  let readableBytes = 0;
  let writableBytes = 0;
  for (const element of pending) {
    descriptors += element.descriptors.length;
    readableBytes += element.readableBytes;
    writableBytes += element.writableBytes;
  }
  return { elements: pending.length, descriptors, readableBytes, writableBytes };
}
