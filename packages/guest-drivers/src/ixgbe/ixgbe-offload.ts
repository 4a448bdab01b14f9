import type { HostMemory } from '@ringwire/guest-memory';
import { NetOffload } from '../net-offload.js';
import { ReceivedFrame } from '../received-frame.js';

/** In place of a tag. */
export const NO_TAG = -1;

/** What is to be done to a frame, or was found of it, beyond what virtio has words for. Reused. */
export class IxgbeOffload extends NetOffload {
  /** Tag control information of a tag that is to be put in, or was taken out: priority and VLAN, 16 bits; -1 for none. */
  vlanTci: number = NO_TAG;
  /** Of a frame to be sent: the card writes the IPv4 header's checksum. */
  ipChecksum = false;

  override clear(): this {
    super.clear();
    this.vlanTci = NO_TAG;
    this.ipChecksum = false;
    return this;
  }
}

/** A frame that came in: good during the call that hands it up, and reused for the next one. */
export class IxgbeFrame extends ReceivedFrame {
  override readonly offload: IxgbeOffload;

  constructor(memory: HostMemory) {
    super(memory);
    this.offload = new IxgbeOffload();
  }
}
