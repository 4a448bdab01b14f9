import { isPvirtqSize } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import type { VdpaQueueAddresses } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

const ADDRESS_END = 2 ** 53;

/** What a bus driver has set up of one queue. */
export class QueueSetup {
  size: number;
  addresses: VdpaQueueAddresses | undefined = undefined;
  /** Where it goes on once it becomes ready; at its start unless set. */
  position: QueueState | undefined = undefined;
  callback: (() => void) | undefined = undefined;
  private readonly sizeMax: number;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
    this.size = sizeMax;
  }

  /** @param size foreign: INVALID for one that the queue cannot have */
  setSize(size: number): VdpaOutcome {
    if (!isPvirtqSize(size) || size > this.sizeMax) return VDPA.INVALID;
    this.size = size;
    return VDPA.OK;
  }

  /** @param addresses foreign: INVALID for numbers that are none */
  setAddresses({ desc, driver, device }: VdpaQueueAddresses): VdpaOutcome {
    const isEvery = [desc, driver, device].every((at) => Number.isInteger(at) && at >= 0 && at < ADDRESS_END);
    if (!isEvery) return VDPA.INVALID;
    this.addresses = { desc, driver, device };
    return VDPA.OK;
  }

  /** As after a device reset; what was counted stays. */
  reset(): void {
    this.size = this.sizeMax;
    this.addresses = undefined;
    this.position = undefined;
    this.callback = undefined;
  }
}

/** The start of a queue. virtio 1.4 §2.7, §2.8.1 */
export const startOf = (isPacked: boolean): QueueState =>
  isPacked
    ? { layout: 'packed', lastAvailIdx: 0, lastAvailWrapCounter: 1, usedIdx: 0, usedWrapCounter: 1 }
    : { layout: 'split', lastAvailIdx: 0, usedIdx: 0 };
