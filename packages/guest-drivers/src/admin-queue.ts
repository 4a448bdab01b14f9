import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_ADMIN_CMD,
  VIRTIO_ADMIN_RESULT,
  VIRTIO_ADMIN_STATUS,
  VIRTIO_ADMIN_STATUS_Q,
} from '@ringwire/virtio-spec/admin';
import { BufferList, NO_ROOM, USED, UsedBurst } from '@ringwire/virtqueue';
import type { DmaArena } from './dma-arena.js';
import type { LiveQueue } from './live-queue.js';

const S = VIRTIO_ADMIN_STATUS;
const Q = VIRTIO_ADMIN_STATUS_Q;
const STATUSES: readonly number[] = Object.values(S);
const QUALIFIERS: readonly number[] = Object.values(Q);
const NOTHING = new Uint8Array(0);
/** In place of a status: the device was reset or given up before it answered. */
export const UNANSWERED = -1;

/** How an administration command ended. */
export interface AdminReply {
  /** A `VIRTIO_ADMIN_STATUS`; one that is reserved counts as EINVAL. UNANSWERED (-1) when there is none. */
  readonly status: number;
  /** A `VIRTIO_ADMIN_STATUS_Q`; one that is reserved counts as INVALID_COMMAND. */
  readonly qualifier: number;
  /** command_specific_result, a copy of what the device says that it wrote; empty unless the status is OK. */
  readonly result: Uint8Array;
}

/** How a command ends that is never answered. */
export const LOST: AdminReply = { status: UNANSWERED, qualifier: 0, result: NOTHING };

/** One command, as it goes to the device. */
export interface AdminRequest {
  readonly opcode: number;
  /** A `VIRTIO_ADMIN_GROUP_TYPE`. */
  readonly group: number;
  readonly member: number;
  readonly data: Uint8Array;
  /** Room for the result. */
  readonly resultBytes: number;
  readonly done: (reply: AdminReply) => void;
}

interface Pending {
  readonly request: AdminRequest;
  readonly slot: number;
  readonly answerAt: number;
  readonly room: number;
  readonly sentAt: number;
  readonly tries: number;
}

const SLOTS = 4;
const HEAD = VIRTIO_ADMIN_CMD.command_specific_data;
const RESULT = VIRTIO_ADMIN_RESULT.command_specific_result;
/** How often a command is sent anew that the device was too busy for. */
const TRIES_MAX = 16;
/** The elements of a command's chain. */
export const ADMIN_ENTRIES = 2;

const wholeWords = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Commands on their way to the device, each in memory of its own until it is answered. @see virtio 1.4 §2.13 */
export class AdminQueue {
  readonly live: LiveQueue;
  /** Bytes that data and result of one command may have together. */
  readonly bytesMax: number;
  private readonly arena: DmaArena;
  private readonly slotBytes: number;
  private readonly address: number;
  private readonly host: number;
  private readonly freeSlots: number[] = Array.from({ length: SLOTS }, (_, slot) => slot);
  private readonly pending: Map<number, Pending> = new Map();
  /** Commands that the device was too busy for: sent anew with the next poll. */
  private retries: Pending[] = [];
  private isGone = false;
  private readonly buffer: BufferList = new BufferList(ADMIN_ENTRIES);
  private readonly used: UsedBurst = new UsedBurst(SLOTS);

  /** @param slotBytes memory for one command and its answer */
  constructor(live: LiveQueue, arena: DmaArena, slotBytes: number) {
    this.live = live;
    this.arena = arena;
    this.slotBytes = wholeWords(slotBytes);
    this.bytesMax = this.slotBytes - HEAD - RESULT - 2 * 8;
    this.address = arena.allocate(SLOTS * this.slotBytes);
    this.host = arena.hostOf(this.address, SLOTS * this.slotBytes);
  }

  /** Whether no command is on its way. */
  get isIdle(): boolean {
    return this.pending.size === 0 && this.retries.length === 0;
  }

  /** Whether {@link send} has room. */
  get hasRoom(): boolean {
    return this.freeSlots.length > 0;
  }

  /**
   * @returns false when as many commands are on their way as there can be
   * @throws VirtioError for a command that is too long
   */
  send(request: AdminRequest, now: number): boolean {
    const bytes = request.data.length + request.resultBytes;
    if (bytes > this.bytesMax) throw new VirtioError('bytes', bytes, `at most ${this.bytesMax}`, 'AdminQueue');
    const slot = this.freeSlots.at(-1);
    if (slot === undefined || this.isGone || !this.submit(request, slot, now, 1)) return false;
    this.freeSlots.pop();
    return true;
  }

  /** Take answers, send anew what is to be, and ask to be told of the next answer. @returns commands that are over */
  poll(): number {
    const { used } = this;
    let done = 0;
    if (this.isGone) return 0;
    const again = this.retries;
    this.retries = [];
    for (const one of again) if (!this.submit(one.request, one.slot, one.sentAt, one.tries + 1)) this.retries.push(one);
    // A device that answers as fast as commands are made comes to an end all the same.
    for (let turns = 0; turns < SLOTS; turns++) {
      used.clear();
      if (this.live.queue.takeUsed(used, SLOTS) === 0 && !this.live.queue.enableNotifications()) break;
      const replies: (() => void)[] = [];
      for (let i = 0; i < used.count; i++) {
        const reply = this.finish(used.token[i]!, used.outcome[i] === USED.GOOD ? used.written[i]! : 0);
        if (reply !== undefined) replies.push(reply);
      }
      done += replies.length;
      // Behind the loop: what is done then may send the next command.
      for (const reply of replies) reply();
    }
    return done;
  }

  /** Since when the oldest command waits for an answer; Infinity when none does. */
  waitingSince(): number {
    const all = [...this.pending.values(), ...this.retries];
    return all.reduce((oldest, { sentAt }) => Math.min(oldest, sentAt), Number.POSITIVE_INFINITY);
  }

  /** The device is gone: nothing that waits will be answered. Its memory stays out of use until the arena is freed. */
  abandon(): void {
    this.isGone = true;
    const lost = [...this.pending.values(), ...this.retries];
    this.pending.clear();
    this.retries = [];
    for (const { request } of lost) request.done(LOST);
  }

  private submit(request: AdminRequest, slot: number, sentAt: number, tries: number): boolean {
    const { memory } = this.arena.dma.space;
    const { opcode, group, member, data, resultBytes } = request;
    const readable = wholeWords(HEAD + data.length);
    const room = wholeWords(RESULT + resultBytes);
    const at = this.host + slot * this.slotBytes;
    const bytes = new Uint8Array(readable + room);
    const view = new DataView(bytes.buffer);
    view.setUint16(VIRTIO_ADMIN_CMD.opcode, opcode, true);
    view.setUint16(VIRTIO_ADMIN_CMD.group_type, group, true);
    view.setUint32(VIRTIO_ADMIN_CMD.group_member_id, member, true);
    bytes.set(data, HEAD);
    memory.u8.set(bytes, at);
    const address = this.address + slot * this.slotBytes;
    this.buffer
      .clear()
      .addReadable(address, readable)
      .addWritable(address + readable, room);
    const id = this.live.queue.add(this.buffer);
    if (id === NO_ROOM) return false;
    this.pending.set(id, { request, slot, answerAt: readable, room, sentAt, tries });
    this.live.publish();
    return true;
  }

  private finish(id: number, written: number): (() => void) | undefined {
    const pending = this.pending.get(id)!;
    const { request, slot, answerAt, room, tries } = pending;
    this.pending.delete(id);
    const at = this.host + slot * this.slotBytes + answerAt;
    // One copy of what the device wrote, no more than it says that it wrote; the rest is zeros (virtio 1.4 §2.13.2).
    const answer = new Uint8Array(Math.max(RESULT, Math.min(written, room)));
    answer.set(this.arena.dma.space.memory.u8.subarray(at, at + Math.min(written, room)));
    const view = new DataView(answer.buffer);
    const said = view.getUint16(VIRTIO_ADMIN_RESULT.status, true);
    // Without a byte written there is no status, which would read as OK.
    const status = written === 0 || !STATUSES.includes(said) ? S.EINVAL : said;
    if (status === S.EAGAIN && tries < TRIES_MAX) {
      this.retries.push(pending);
      return undefined;
    }
    this.freeSlots.push(slot);
    const why = view.getUint16(VIRTIO_ADMIN_RESULT.status_qualifier, true);
    const qualifier = QUALIFIERS.includes(why) ? why : Q.INVALID_COMMAND;
    const result = status === S.OK ? answer.subarray(RESULT) : NOTHING;
    return () => request.done({ status, qualifier, result });
  }
}
