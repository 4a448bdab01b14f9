import { inspectRing, type MemoryReader, type RingReport } from '@ringwire/ring-oracle';
import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import { explainModel, queuesInUse } from './explain-net.js';
import { explainTransport } from './explain-transport.js';
import { note, problem, type Reason } from './reason.js';
import type { DeviceSnapshot, QueueSnapshot } from './snapshot-types.js';

const { DRIVER_OK, FAILED, DEVICE_NEEDS_RESET, SUSPEND } = DEVICE_STATUS;
/** Violations that are told of each queue: the first ones are the cause of the rest. */
const VIOLATIONS_TOLD = 8;

/**
 * Why nothing moves, the most telling reason first: status, features, bus mastering, for each queue what its registers
 * and its ring say, the device type, interrupts. This is the one place of these sentences, for devices that run and for
 * saved ones.
 * @param memory what the device reaches, by its own addresses
 */
export function explainSnapshot(snapshot: DeviceSnapshot, memory: MemoryReader): Reason[] {
  const why = [...whyNotRunning(snapshot)];
  const used = queuesInUse(snapshot);
  for (const queue of snapshot.queues) {
    if (queue.sizeMax > 0) why.push(...whyQueue(snapshot, queue, used === undefined || used.has(queue.index), memory));
  }
  return [...why, ...explainModel(snapshot), ...explainTransport(snapshot)];
}

/** What an enabled queue's ring says, or undefined for one that is not enabled. @throws VirtioError for what no queue is */
export function inspectQueue(
  { accepted }: DeviceSnapshot,
  queue: QueueSnapshot,
  memory: MemoryReader,
): RingReport | undefined {
  const { layout, size, position } = queue;
  if (layout === null) return undefined;
  const { lastAvailIdx, usedIdx } = position ?? {};
  const wraps = position?.layout === 'packed' ? position : undefined;
  return inspectRing({
    memory,
    layout,
    size,
    desc: BigInt(queue.desc),
    driver: BigInt(queue.driver),
    device: BigInt(queue.device),
    features: BigInt(accepted.bits),
    // Left to be inferred while buffers are in flight, or used and not yet published.
    ...(lastAvailIdx === undefined ? {} : { lastAvail: place(lastAvailIdx, wraps?.lastAvailWrapCounter) }),
    ...(usedIdx === undefined ? {} : { used: place(usedIdx, wraps?.usedWrapCounter) }),
  });
}

const place = (index: number, wrap: 0 | 1 | undefined): { index: number; wrap?: 0 | 1 } =>
  wrap === undefined ? { index } : { index, wrap };

function whyNotRunning(snapshot: DeviceSnapshot): Reason[] {
  const { status, statusNames, featuresRefusal, statusProblem, resetReason } = snapshot;
  const why: Reason[] = [];
  if ((status & DEVICE_NEEDS_RESET) !== 0)
    why.push(problem(`The device needs a reset: ${resetReason ?? 'it does not say why'}.`));
  if ((status & FAILED) !== 0) why.push(problem('The driver has given up: it set FAILED.'));
  if ((status & SUSPEND) !== 0)
    why.push(problem('The driver suspended the device: it has to write DRIVER_OK to go on.'));
  if (featuresRefusal !== null) why.push(problem(`FEATURES_OK was refused: ${featuresRefusal}.`));
  if (statusProblem !== null) why.push(problem(`A status bit was ignored: ${statusProblem}.`));
  // A front-end may keep the status to itself.
  if ((status & (DRIVER_OK | SUSPEND)) === 0 && snapshot.transport.kind !== 'vhost-user') {
    const names = statusNames.length === 0 ? 'none' : statusNames.join(' | ');
    why.push(problem(`DRIVER_OK is not set: the status is 0x${status.toString(16)} (${names}).`));
  }
  if (!snapshot.dmaEnabled) why.push(problem('The function may do no DMA: bus mastering is off.'));
  return why;
}

function whyQueue(snapshot: DeviceSnapshot, queue: QueueSnapshot, isUsed: boolean, memory: MemoryReader): Reason[] {
  const { index, refusal, ringFault, counters } = queue;
  if (!queue.enabled) {
    if (refusal !== null) return [problem(`enabling it was refused: ${refusal}.`, index)];
    // What a front-end has not done yet is told with the transport.
    if (snapshot.transport.kind === 'vhost-user') return [];
    return isUsed ? [problem('it is not enabled.', index)] : [];
  }
  const why = Object.entries(counters?.chainFaults ?? {}).map(([name, count]) =>
    problem(`${count} ${count === 1 ? 'chain was' : 'chains were'} given up: ${name}.`, index),
  );
  // A ring says nothing about a device that does not look at it, unless it is what made the device look away.
  if (!snapshot.live && ringFault === null) return why;
  const report = inspectQueue(snapshot, queue, memory);
  if (report === undefined) return why;
  if (snapshot.live) why.push(...report.why.map((text) => note(text, index)));
  return [...why, ...brokenClauses(report, index)];
}

function brokenClauses({ violations }: RingReport, queue: number): Reason[] {
  const told = violations.slice(0, VIOLATIONS_TOLD).map(({ id, spec, by, at, message }): Reason => {
    return { level: 'problem', queue, text: message, clause: { id, spec, by, at } };
  });
  const more = violations.length - told.length;
  return more === 0
    ? told
    : [...told, problem(`${more} more ${more === 1 ? 'violation is' : 'violations are'} not listed.`, queue)];
}
