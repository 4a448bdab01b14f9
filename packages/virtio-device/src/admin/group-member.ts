import type { DevicePart } from './device-part.js';

/**
 * A device that another one, its owner, administers. The owner asks from within its own step, so nothing here may call the
 * member's driver: what is to be told waits for the member's own next step.
 */
export interface GroupMember {
  /** A reset or another change is under way, or the type is at work: whatever is asked has to wait. */
  readonly isChanging: boolean;
  /** The owner stopped it: queues and buffers are not touched, and the driver is told nothing. */
  readonly isStopped: boolean;
  /**
   * Stop: what was taken is used first, and its driver told.
   * @returns false while that is not done; to be called again
   */
  stop(): boolean;
  /** Go on, with the parts that were set meanwhile. It does no harm to a device that is not stopped. */
  resume(): void;
  /** Its state now, in the order of virtio 1.4 §2.12.1.4.4; not while {@link isChanging}. */
  parts(): readonly DevicePart[];
  /**
   * Take parts over, foreign, all of them or none. They count from {@link resume} on.
   * @returns why they cannot be, or undefined
   */
  setParts(parts: readonly DevicePart[]): string | undefined;
}

/** What an owner has of SR-IOV: its capability's registers, and a device for each virtual function. */
export interface SriovOwner {
  /** VF Enable is set: there is a group. */
  readonly isEnabled: boolean;
  /** NumVFs */
  readonly count: number;
  /**
   * @param id 1 to {@link count}, while the group is there
   * @returns the virtual function, one object for as long as it is there, or undefined when it is gone
   */
  member(id: number): GroupMember | undefined;
}
