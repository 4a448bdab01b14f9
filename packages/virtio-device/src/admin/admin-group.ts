import type { AdminCommand, AdminOutcome, LATER } from './admin-command.js';

/** One group of devices that an owner controls, as its administration virtqueues see it. @see virtio 1.4 §2.12 */
export interface AdminGroup {
  /** A `VIRTIO_ADMIN_GROUP_TYPE`. */
  readonly type: number;
  /** Opcodes that are supported besides LIST_QUERY and LIST_USE: never fewer than before. */
  readonly opcodes: readonly number[];
  /** Whether there is such a group now. */
  exists(): boolean;
  /** @param id any 64-bit number */
  hasMember(id: number): boolean;
  /** Carry a command out that is in {@link opcodes}, for a member that there is. */
  run(command: AdminCommand): AdminOutcome | typeof LATER;
  /** The owner was reset. */
  reset(): void;
}
