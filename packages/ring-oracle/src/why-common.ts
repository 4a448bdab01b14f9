import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import type { WalkContext } from './chain-walk.js';
import { hex } from './memory-reader.js';
import type { PendingElement } from './report.js';
import type { RingInput } from './ring-input.js';

/** `1 element`, `3 elements`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** What stops a queue before anybody looks into its ring: status, set-up, memory. */
export function whyBeforeTheRing(input: RingInput, { parts, features, layout, size }: WalkContext): string[] {
  const why: string[] = [];
  const { deviceStatus: status, queueEnabled } = input;
  if (status !== undefined) {
    if ((status & DEVICE_STATUS.FAILED) !== 0) why.push('The driver has given up: FAILED is set in the device status.');
    if ((status & DEVICE_STATUS.DEVICE_NEEDS_RESET) !== 0) {
      why.push('The device asks for a reset: DEVICE_NEEDS_RESET is set in the device status; it does nothing before.');
    }
    if ((status & DEVICE_STATUS.DRIVER_OK) === 0) {
      why.push(`DRIVER_OK is not set: device status is ${hex(status)}, and the device takes no buffer before.`);
    }
  }
  if (queueEnabled === false) why.push('The queue is not enabled.');
  if (features.ringPacked !== undefined && features.ringPacked !== (layout === 'packed')) {
    const negotiated = features.ringPacked ? 'packed' : 'split';
    why.push(`The negotiated features say ${negotiated} ring, and these bytes are read as a ${layout} one.`);
  }
  if (parts.all.every((part) => part.address === 0n))
    why.push('All three queue addresses are 0: the queue was never set up.');
  else if (parts.all.every((part) => part.isZero())) {
    why.push('All of the ring is zero: the driver has never used it, or the addresses are not those of the ring.');
  }
  for (const { name, area, address, align, presence } of parts.all) {
    if (presence.state === 'unmapped') {
      why.push(
        `The ${name} at ${hex(address)} is not in RAM (nothing at ${hex(presence.at)}): no device can reach it.`,
      );
    }
    if (presence.state === 'unsaved') {
      why.push(
        `The ${name} at ${hex(address)} was not saved (first missing byte ${hex(presence.at)}): it is not judged.`,
      );
    }
    if (address % BigInt(align) !== 0n) {
      why.push(`queue_${area} is ${hex(address)}, no multiple of ${align}: a device may refuse to enable the queue.`);
    }
  }
  if (layout === 'split' && (size & (size - 1)) !== 0) {
    why.push(`The queue size ${size} is no power of two: driver and device may place element ${size} differently.`);
  }
  return why;
}

/** The first fault that a device meets when it goes on: it drops that element or stops for good. */
export function whyFirstFault({ find }: WalkContext, pending: readonly PendingElement[]): string[] {
  const fault = find.violations.find((violation) => violation.by === 'driver');
  if (fault === undefined) return [];
  const broken = pending.find((element) => !element.complete);
  const stop = broken === undefined ? '' : ` The oldest element that cannot be read to its end is ${broken.position}.`;
  return [`A device may drop what is broken, or stop and ask for a reset; first found: ${fault.id}.${stop}`];
}
