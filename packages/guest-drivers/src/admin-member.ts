import { VIRTIO_ADMIN_STATUS } from '@ringwire/virtio-spec/admin';
import type { AdminReply } from './admin-queue.js';
import { type DevicePart, joinParts, splitParts } from './device-part-list.js';
import type { MemberCommands } from './member-commands.js';
import { PATIENCE, type Patience, waitFor } from './patience.js';

/**
 * One virtual function in its owner's hands, a command at a time, each waited for: what a move of the function needs, and
 * `VpMember` of `@ringwire/vdpa` without being made of it. A command that finds no room, is refused or is not answered in time is one
 * that the function did not obey. @see virtio 1.4 §2.12.1.4
 */
export class AdminMember {
  private readonly commands: MemberCommands;
  private readonly member: number;
  private readonly patience: Patience;

  /**
   * @param commands with device parts enabled
   * @param member   the VF number, from 1 on
   * @param patience its `pause` gives the owner's driver its interrupts, and its device a turn where that runs in this thread
   */
  constructor(commands: MemberCommands, member: number, patience: Patience = PATIENCE) {
    this.commands = commands;
    this.member = member;
    this.patience = patience;
  }

  /** @returns false: it did not stop, or does so later and {@link resume} is to be asked for */
  stop(): boolean {
    return this.isDone((done) => this.commands.stop(this.member, done));
  }

  resume(): boolean {
    return this.isDone((done) => this.commands.resume(this.member, done));
  }

  /** All parts, one behind the other; undefined when they cannot be had. */
  parts(): Uint8Array | undefined {
    let found: readonly DevicePart[] | undefined;
    const isDone = this.isDone((done) =>
      this.commands.getParts(this.member, (parts, reply) => {
        found = parts;
        done(reply);
      }),
    );
    return isDone && found !== undefined ? joinParts(found) : undefined;
  }

  /**
   * While stopped: have other parts from {@link resume} on.
   * @param bytes foreign, one behind the other
   * @returns false for parts that are refused
   * @throws VirtioError for a member that is not stopped
   */
  setParts(bytes: Uint8Array): boolean {
    const parts = splitParts(bytes);
    if (parts === undefined || bytes.length > this.commands.partsMax) return false;
    // Whoever gathered them need not know in which order they are to be set.
    const ordered = parts.toSorted((a, b) => a.type - b.type);
    return this.isDone((done) => this.commands.setParts(this.member, ordered, done));
  }

  private isDone(send: (done: (reply: AdminReply) => void) => boolean): boolean {
    let status: number | undefined;
    const isSent = send((reply) => {
      status = reply.status;
    });
    return isSent && waitFor(() => status !== undefined, this.patience) && status === VIRTIO_ADMIN_STATUS.OK;
  }
}
