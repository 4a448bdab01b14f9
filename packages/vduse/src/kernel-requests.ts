import type { VirtioDevice } from '@ringwire/virtio-device';
import { DEVICE_STATUS, FEATURE_WORDS, featuresFromBigInt, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import type { Interrupts } from './interrupts.js';
import type { IovaSpace } from './iova-space.js';
import type { Kicks } from './kicks.js';
import { type BadRequest, type Request, startOf } from './messages.js';
import type { VduseNode } from './node.js';
import type { RingLayouts } from './offer.js';
import { openQueues, type QueuePosition } from './queues.js';
import { positionsOf } from './take-up.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, FAILED } = DEVICE_STATUS;
const STEPS = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;

/** What requests of the kernel are carried out with. */
interface RequestParts {
  readonly device: VirtioDevice;
  readonly node: VduseNode;
  readonly space: IovaSpace;
  readonly kicks: Kicks;
  readonly interrupts: Interrupts;
  readonly layouts: RingLayouts;
}

/** Carries out what the kernel asks a device for, between two steps of the device. */
export class KernelRequests {
  private readonly parts: RequestParts;

  constructor(parts: RequestParts) {
    this.parts = parts;
  }

  /** @returns a queue's state where it was asked for; why a request is refused; undefined for one that was carried out */
  answer(request: Request | BadRequest): QueuePosition | string | undefined {
    switch (request.kind) {
      case 'bad':
        return request.problem;
      case 'get-vq-state':
        return this.position(request.index);
      case 'update-iotlb':
        this.parts.space.drop(request.first, request.last);
        return undefined;
      case 'set-status':
        return request.status === 0 ? this.reset() : this.setStatus(request.status);
      default:
        return request satisfies never;
    }
  }

  /** Pages are the driver's again once this is answered, and no UPDATE_IOTLB says so. */
  private reset(): undefined {
    this.parts.device.reset();
    this.parts.space.clear();
    this.parts.interrupts.clear();
    this.parts.kicks.clear();
  }

  private setStatus(status: number): string | undefined {
    const { device } = this.parts;
    const fresh = status & ~device.status;
    if ((fresh & FEATURES_OK) !== 0) {
      const problem = this.acceptFeatures();
      if (problem !== undefined) return problem;
    }
    if ((fresh & DRIVER_OK) !== 0 && (fresh & FAILED) === 0) {
      // Rings are opened in between: what their bytes mean depends on the features, and the device begins with them.
      device.writeStatus(status & ~DRIVER_OK);
      const problem = this.run(() => openQueues(device, this.parts.node));
      if (problem !== undefined) return problem;
    }
    device.writeStatus(status);
    const missing = status & (STEPS | FAILED) & ~device.status;
    if (missing === 0) return undefined;
    return device.featuresRefusal ?? device.statusProblem ?? `status 0x${status.toString(16)} was not taken over`;
  }

  private run(open: () => string | undefined): string | undefined {
    const { device } = this.parts;
    if ((device.status & FEATURES_OK) === 0) return device.featuresRefusal ?? device.statusProblem;
    const problem = open();
    if (problem !== undefined)
      return this.parts.space.problem === undefined ? problem : `${problem}; ${this.parts.space.problem}`;
    return this.parts.kicks.listen(device.queues.filter(({ enabled }) => enabled).map(({ index }) => index));
  }

  private acceptFeatures(): string | undefined {
    const bits = this.parts.node.features();
    if (typeof bits === 'string') return `features cannot be read: ${bits}`;
    const words = featuresFromBigInt(bits);
    for (let word = 0; word < FEATURE_WORDS; word++) this.parts.device.acceptFeatures(word, words[word] ?? 0);
    if (this.parts.layouts !== 'packed' || hasFeature(words, VIRTIO_F.RING_PACKED)) return undefined;
    return 'split rings are not served here';
  }

  /** Where the device stands in a queue: between two buffers. */
  private position(index: number): QueuePosition | string {
    const { device } = this.parts;
    const slot = device.queues[index];
    if (slot === undefined) return `queue ${index} of ${device.queues.length}`;
    const { queue } = slot;
    if (queue === undefined) return { index, state: startOf(device.negotiated(VIRTIO_F.RING_PACKED)) };
    device.stop();
    const state: QueueState | undefined = queue.inFlight === 0 && queue.ringFault === 0 ? queue.save() : undefined;
    device.go();
    return state === undefined ? `queue ${index} has buffers in flight, or cannot be trusted` : { index, state };
  }

  /**
   * Go on where the rings are, if the driver has been at work all the time.
   * @returns why that cannot be: then the device waits until the driver begins anew
   */
  takeUp(): string | undefined {
    const { device, node, space, interrupts } = this.parts;
    // Of the configuration, which may be another one now. A driver that does not run gets none.
    if (node.interruptConfig() !== undefined) return undefined;
    const problem =
      this.setStatus(STEPS & ~DRIVER_OK) ?? this.run(() => openQueues(device, node, positionsOf(device, space)));
    if (problem !== undefined) {
      this.reset();
      return problem;
    }
    device.writeStatus(STEPS);
    for (const { index, enabled } of device.queues) if (enabled) interrupts.owe(index);
    return undefined;
  }
}
