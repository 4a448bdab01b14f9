import type { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { VdpaDevice } from './vdpa-device.js';
import type { VdpaOutcome } from './vdpa-outcome.js';

/** What a device may be given when it is added; what is left out is the parent's to choose. */
export interface VdpaAttributes {
  /** 6 bytes: a station's address. */
  readonly mac?: Uint8Array;
  /** 68 to 65535. */
  readonly mtu?: number;
  /** Most pairs of queues of a network device. */
  readonly maxPairs?: number;
  /** Feature words 0–3 to offer: some of the parent's. */
  readonly features?: Uint32Array;
}

/** Why a request came to nothing. */
export interface VdpaRefusal {
  readonly outcome: Exclude<VdpaOutcome, 0>;
  /** Names what was asked for, and what was wanted. */
  readonly message: string;
}

/** Make a refusal. */
export const refusal = (outcome: VdpaRefusal['outcome'], message: string): VdpaRefusal => ({ outcome, message });

/** Tells a refusal from what could be made. */
export const isVdpaRefusal = (result: object | undefined): result is VdpaRefusal =>
  result !== undefined && 'outcome' in result && 'message' in result;

/**
 * A management device: what a vendor's add-on brings, and what makes devices on demand. Its devices are plain
 * {@link VdpaDevice}s: nobody but the parent knows whose hardware is behind them.
 */
export interface VdpaParent {
  /** `bus/device` where it is on a bus, such as `pci/0000:3b:00.1`, else a name. */
  readonly name: string;
  /** `VIRTIO_ID`s that it can make. */
  readonly classes: readonly number[];
  /** Virtqueues that one device can have. */
  readonly maxQueues: number;
  /** Feature words 0–3 that a device can offer. */
  readonly features: Uint32Array;
  /** @returns a refusal for what is foreign in the request: values that cannot be, or no room for one more device */
  add(name: string, attributes: VdpaAttributes): VdpaDevice | VdpaRefusal;
  /** Take back one that {@link add} gave. It was reset, and nobody uses it. */
  remove(device: VdpaDevice): void;
}

/** What the machine gives an add-on to work with. */
export interface VdpaHost {
  readonly memory: HostMemory;
  /** Pages of it, by host offset, for what the add-on needs of its own. */
  readonly pages: PageAllocator;
  /** A clock in µs that never goes back; the platform's unless given. */
  readonly now?: () => number;
}
