import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_ACK, VIRTIO_NET_CTRL } from '@ringwire/virtio-spec/net';
import { BufferList, NO_ROOM, USED, UsedBurst } from '@ringwire/virtqueue';
import type { DmaArena } from './dma-arena.js';
import type { LiveQueue } from './live-queue.js';

/** What became of a command. */
export const COMMAND = {
  OK: 0,
  /** The device answered with anything but OK. */
  REFUSED: 1,
  /** The device was reset or given up before it answered. */
  UNANSWERED: 2,
} as const;

/**
 * Called when a command is over.
 * @param outcome a `COMMAND` value
 * @param result  the command-specific-result, a copy; empty unless the outcome is OK
 */
export type CommandDone = (outcome: number, result: Uint8Array) => void;

interface Pending {
  readonly slot: number;
  /** Where in the slot the answer begins. */
  readonly answerAt: number;
  readonly resultBytes: number;
  readonly sentAt: number;
  readonly done: CommandDone;
}

const SLOTS = 8;
const SLOT_BYTES = 8192;
const HEADER_BYTES = VIRTIO_NET_CTRL.data;
const ACK_BYTES = 1;
/** Bytes that data and result of one command may have together. */
export const COMMAND_BYTES_MAX: number = SLOT_BYTES - HEADER_BYTES - ACK_BYTES;
/** The elements of a command's chain. */
export const CONTROL_ENTRIES = 2;
const NOTHING = new Uint8Array(0);

/** Commands on their way to the device, each in memory of its own until it is answered. @see virtio 1.4 §5.1.9.5 */
export class ControlQueue {
  readonly live: LiveQueue;
  private readonly arena: DmaArena;
  private readonly address: number;
  private readonly host: number;
  private readonly freeSlots: number[] = Array.from({ length: SLOTS }, (_, slot) => slot);
  private readonly pending: Map<number, Pending> = new Map();
  private readonly buffer: BufferList = new BufferList(CONTROL_ENTRIES);
  private readonly used: UsedBurst = new UsedBurst(SLOTS);

  constructor(live: LiveQueue, arena: DmaArena) {
    this.live = live;
    this.arena = arena;
    this.address = arena.allocate(SLOTS * SLOT_BYTES);
    this.host = arena.hostOf(this.address, SLOTS * SLOT_BYTES);
  }

  /**
   * @param data        command-specific-data
   * @param resultBytes room for the command-specific-result
   * @returns false when as many commands are on their way as there can be
   * @throws VirtioError for a command that is too long
   */
  send(
    commandClass: number,
    command: number,
    data: Uint8Array,
    resultBytes: number,
    now: number,
    done: CommandDone,
  ): boolean {
    if (data.length + resultBytes > COMMAND_BYTES_MAX)
      throw new VirtioError('bytes', data.length + resultBytes, `at most ${COMMAND_BYTES_MAX}`, 'ControlQueue');
    const slot = this.freeSlots.at(-1);
    if (slot === undefined) return false;
    const { memory } = this.arena.dma.space;
    const readable = HEADER_BYTES + data.length;
    const at = this.host + slot * SLOT_BYTES;
    const address = this.address + slot * SLOT_BYTES;
    memory.u8[at + VIRTIO_NET_CTRL.class] = commandClass;
    memory.u8[at + VIRTIO_NET_CTRL.command] = command;
    memory.u8.set(data, at + VIRTIO_NET_CTRL.data);
    // An answer that was never written is not OK.
    memory.engine.fill(at + readable, VIRTIO_NET_ACK.ERR, ACK_BYTES + resultBytes);
    this.buffer
      .clear()
      .addReadable(address, readable)
      .addWritable(address + readable, ACK_BYTES + resultBytes);
    const id = this.live.queue.add(this.buffer);
    if (id === NO_ROOM) return false;
    this.freeSlots.pop();
    this.pending.set(id, { slot, answerAt: readable, resultBytes, sentAt: now, done });
    this.live.publish();
    return true;
  }

  /** Take answers, and ask to be told of the next one. @returns commands that are over */
  poll(): number {
    const { used } = this;
    let done = 0;
    // A device that answers as fast as commands are made comes to an end all the same.
    for (let turns = 0; turns < SLOTS; turns++) {
      used.clear();
      if (this.live.queue.takeUsed(used, SLOTS) === 0 && !this.live.queue.enableNotifications()) break;
      done += used.count;
      const answers: (() => void)[] = [];
      for (let i = 0; i < used.count; i++)
        answers.push(this.finish(used.token[i]!, used.outcome[i] === USED.GOOD ? used.written[i]! : 0));
      // Behind the loop: what is done then may send the next command.
      for (const answer of answers) answer();
    }
    return done;
  }

  /** Since when the oldest command waits for an answer; Infinity when none does. */
  waitingSince(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { sentAt } of this.pending.values()) oldest = Math.min(oldest, sentAt);
    return oldest;
  }

  /** The device is gone: nothing that waits will be answered. Its memory stays out of use until the arena is freed. */
  abandon(): void {
    const lost = [...this.pending.values()];
    this.pending.clear();
    for (const { done } of lost) done(COMMAND.UNANSWERED, NOTHING);
  }

  private finish(id: number, written: number): () => void {
    const { slot, answerAt, done, resultBytes } = this.pending.get(id)!;
    this.pending.delete(id);
    const at = this.host + slot * SLOT_BYTES + answerAt;
    const { u8 } = this.arena.dma.space.memory;
    // One copy of what the device wrote, and no more than it says that it wrote.
    const answer = u8.slice(at, at + Math.min(written, ACK_BYTES + resultBytes));
    this.freeSlots.push(slot);
    const isOk = answer.length >= ACK_BYTES && answer[0] === VIRTIO_NET_ACK.OK;
    return () => done(isOk ? COMMAND.OK : COMMAND.REFUSED, isOk ? answer.subarray(ACK_BYTES) : NOTHING);
  }
}
