import type { HostMemory } from '@ringwire/guest-memory';
import type { QueueState } from '@ringwire/virtqueue';
import type { VdpaOutcome } from './vdpa-outcome.js';

/** Addresses of a queue's three parts, in the address space of the queue's group. */
export interface VdpaQueueAddresses {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

/** One mapping of an address space. */
export interface VdpaMapping {
  readonly iova: number;
  readonly bytes: number;
  /** Host offset of the first byte. */
  readonly host: number;
  /** `ACCESS` bits. */
  readonly access: number;
}

/** What a device can do besides what all can. */
export interface VdpaAbilities {
  readonly suspend: boolean;
  readonly resume: boolean;
  /**
   * Positions that {@link VdpaDevice.queueState} and {@link VdpaDevice.setQueueState} know: any, or the start alone, as with
   * devices that have no register for them.
   */
  readonly state: 'any' | 'start';
  /** Mappings can outlive a reset. */
  readonly keepMaps: boolean;
  /** A queue may become ready while the device runs. */
  readonly readyWhileRunning: boolean;
  /** It tells, and takes, what its driver made of it by commands: {@link VdpaDevice.typeState}. */
  readonly typeState: boolean;
  /** It tells which memory it wrote: {@link VdpaDevice.trackDirty}. */
  readonly dirty: boolean;
}

/** A range of host memory. */
export interface HostRange {
  /** Host offset of the first byte. */
  readonly host: number;
  readonly bytes: number;
}

/** The page behind which a queue's doorbell lies, for whoever may be given the page itself. */
export interface DoorbellArea {
  /** In the address space of the machine. */
  readonly address: number;
  readonly bytes: number;
}

/** One counter of a queue. */
export interface VdpaStatistic {
  readonly name: string;
  readonly value: number;
}

/**
 * A device whose data plane is virtio's, behind a control plane that is its vendor's: what a bus driver may ask of any such
 * device. Rings and buffers lie in memory that {@link map} made reachable; nothing of the data path goes through here.
 *
 * Values that may be foreign give an outcome. An index beyond {@link queueCount}, {@link groupCount} or {@link spaceCount} in
 * a method that gives none is the bus driver's mistake and throws a VirtioError.
 */
export interface VdpaDevice {
  /** A `VIRTIO_ID`. */
  readonly deviceId: number;
  /** 32 bits: a PCI vendor, or 0. */
  readonly vendorId: number;
  /** What host offsets of mappings are offsets into. */
  readonly memory: HostMemory;
  readonly abilities: VdpaAbilities;

  /** Feature words 0–3 that the device offers. ACCESS_PLATFORM is always among them, and has to be accepted. */
  readonly deviceFeatures: Uint32Array;
  /** Feature words 0–3 as set last. */
  readonly driverFeatures: Uint32Array;
  /** BUSY once FEATURES_OK is set; INVALID for features that are not offered. */
  setDriverFeatures(features: Uint32Array): VdpaOutcome;

  /** Bytes of the device configuration. */
  readonly configBytes: number;
  /** @param at,length inside it. @throws VirtioError beyond */
  readConfig(at: number, length: number): Uint8Array;
  /** INVALID beyond the configuration, BUSY in a state in which nothing is written. */
  writeConfig(at: number, bytes: Uint8Array): VdpaOutcome;
  /** 32 bits; the same before and after several reads: they belong together. virtio 1.4 §2.5 */
  configGeneration(): number;
  /** Called when the configuration changed or the device needs a reset; undefined takes it away. */
  setConfigCallback(callback: (() => void) | undefined): void;

  /** The device status, virtio 1.4 §2.1. */
  readonly status: number;
  /**
   * Set status bits. What the device does not agree to it does not set: read it again. 0 is a reset without mappings kept.
   * INVALID for more than 8 bits.
   */
  setStatus(status: number): VdpaOutcome;
  /**
   * virtio 1.4 §2.4: queues, features, groups and callbacks are as at first. Done when {@link status} reads 0.
   * @param keepMaps leave mappings as they are; UNSUPPORTED where they cannot
   */
  reset(keepMaps?: boolean): VdpaOutcome;

  /**
   * Touch no ring any more; what was taken is used first. Registers go on as ever.
   * BUSY while the device is at work: ask again.
   */
  suspend(): VdpaOutcome;
  /** Take {@link suspend} back. */
  resume(): VdpaOutcome;
  /** Whether {@link suspend} is in force. */
  readonly isSuspended: boolean;

  readonly queueCount: number;
  /** Queue Sizes that can be set. */
  readonly queueSizeMax: number;
  readonly queueSizeMin: number;
  /** Bytes that every part of a ring is aligned to at least. */
  readonly queueAlign: number;
  /** The Queue Size that holds; until one is set, the largest. */
  queueSize(index: number): number;
  /** INVALID for a size that no queue has, BUSY while the queue is ready. */
  setQueueSize(index: number, size: number): VdpaOutcome;
  /** INVALID for numbers that are no addresses, BUSY while the queue is ready. They are judged when it becomes ready. */
  setQueueAddresses(index: number, addresses: VdpaQueueAddresses): VdpaOutcome;
  queueReady(index: number): boolean;
  /**
   * Start or stop a queue. A queue that is stopped keeps addresses, size and position, and starts there again.
   * @returns INVALID for a ring that cannot be where it is: {@link problem} says why
   */
  setQueueReady(index: number, ready: boolean): VdpaOutcome;
  /** Where the device stands in the ring; undefined while it is in the middle of a buffer: suspend it first. */
  queueState(index: number): QueueState | undefined;
  /** Where the device goes on once the queue becomes ready. BUSY while it is; UNSUPPORTED beyond `abilities.state`. */
  setQueueState(index: number, state: QueueState): VdpaOutcome;
  /** Called when a buffer was used and the driver is to hear of it; undefined takes it away. */
  setQueueCallback(index: number, callback: (() => void) | undefined): void;
  /** The machine's interrupt behind the callback, for whoever lets it bypass the callback; undefined without one. */
  queueIrq(index: number): number | undefined;
  /** A doorbell of the driver's. @param data with NOTIFICATION_DATA what it wrote */
  kick(index: number, data?: number): void;
  /** Where the queue's doorbell is, if it has a page of its own. */
  doorbell(index: number): DoorbellArea | undefined;
  /** Counters of the queue since the device was made; a reset leaves them alone. */
  queueStatistics(index: number): readonly VdpaStatistic[];

  /** Groups of queues that share an address space. */
  readonly groupCount: number;
  /** Address spaces. */
  readonly spaceCount: number;
  /** Depends on the negotiated features where the control queue's index does. */
  queueGroup(index: number): number;
  /** The address space that a group uses: 0 until it is set. */
  groupSpace(group: number): number;
  /** INVALID for a group or space that there is not, BUSY while one of the group's queues is ready. */
  setGroupSpace(group: number, asid: number): VdpaOutcome;

  /** First and last address that can be mapped. */
  readonly iovaRange: { readonly first: number; readonly last: number };
  /** What addresses and lengths of mappings are multiples of. */
  readonly mapGranule: number;
  /** Make memory reachable in an address space. EXISTS when any byte of the range is mapped. */
  map(asid: number, mapping: VdpaMapping): VdpaOutcome;
  /** Take away what is mapped of a range, splitting mappings that reach out of it. When it returns, no DMA reaches it. */
  unmap(asid: number, iova: number, bytes: number): VdpaOutcome;
  /** Have these mappings in place of all there are: all of them, or on an outcome but OK none of the change. */
  setMap(asid: number, mappings: readonly VdpaMapping[]): VdpaOutcome;
  /** The mappings of an address space, by address. */
  mappings(asid: number): readonly VdpaMapping[];

  /**
   * Note from now on which mapped memory the device writes, or note it no more. Nothing counts as written when it begins.
   * UNSUPPORTED without `abilities.dirty`, NO_ROOM without memory for it, BUSY within a burst.
   */
  trackDirty(isOn: boolean): VdpaOutcome;
  /**
   * What the device may have written since this was asked last, in whole pages: memory that was unmapped meanwhile too. What it
   * writes from now on is told the next time, so that memory that is copied behind this call is never older than what is told.
   * Not within a burst of this thread.
   */
  takeDirty(): readonly HostRange[];

  /**
   * What a driver made of the device by commands rather than registers: the device parts of its type, as virtio 1.4 §2.14 lays
   * them out, one behind the other. Of a device that is suspended, or does not run.
   * @returns undefined for a device that cannot tell
   */
  typeState(): Uint8Array | undefined;
  /**
   * Have such parts in force when the device starts; between FEATURES_OK and DRIVER_OK. They are foreign: all are taken, or on an
   * outcome but OK none, and {@link problem} says why.
   */
  setTypeState(parts: Uint8Array): VdpaOutcome;

  /** Why the device refused last, or needs a reset, in words; undefined when it has nothing to say. */
  readonly problem: string | undefined;
  /** Called when there is work for {@link step}; undefined takes it away. */
  setWorkCallback(callback: (() => void) | undefined): void;
  /**
   * Do work in this thread. A device that works elsewhere does nothing here.
   * @param budget most buffers per queue
   * @returns buffers and frames handled; 0: nothing to do
   */
  step(budget: number): number;
}
