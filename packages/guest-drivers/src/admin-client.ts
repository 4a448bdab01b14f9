import { VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_ADMIN_GROUP_TYPE, VIRTIO_ADMIN_OPCODE, VIRTIO_ADMIN_STATUS } from '@ringwire/virtio-spec/admin';
import { AdminGroup, type Negotiate } from './admin-group.js';
import { type AdminQueue, type AdminReply, type AdminRequest, LOST } from './admin-queue.js';

const { LIST_QUERY, LIST_USE } = VIRTIO_ADMIN_OPCODE;
const KNOWN: readonly number[] = Object.values(VIRTIO_ADMIN_OPCODE);
/** Bytes of a list that are looked at: opcodes beyond are none that we know. */
const LIST_BYTES = 16;

/** Called when a command is over. */
export type AdminDone = (reply: AdminReply) => void;

/** A list that was agreed on, and is to be told to the device. */
interface Use {
  readonly group: number;
  readonly used: readonly number[];
  readonly done: (used: readonly number[], reply: AdminReply) => void;
}

/**
 * Administration commands of one device, through one of its queues: the device consumes them in their order there. A
 * command goes out only when its group's list is in use, and a list only when nothing else is on its way.
 * @see virtio 1.4 §2.12.1
 */
export class AdminClient {
  /** The device itself. */
  readonly self: AdminGroup;
  /** Its virtual functions. */
  readonly sriov: AdminGroup;
  private readonly queue: AdminQueue;
  private readonly now: () => number;
  /** LIST_USE of groups, which wait until nothing else is on its way. */
  private readonly waiting: Use[] = [];
  /** One of them is on its way. */
  private isExclusive = false;

  /**
   * @param now a clock in milliseconds that never goes back
   * @param functions NumVFs while VF Enable is set, else 0
   */
  constructor(queue: AdminQueue, now: () => number, functions: () => number) {
    this.queue = queue;
    this.now = now;
    const send = (request: AdminRequest): boolean => this.send(request);
    const begin: Negotiate = (group, wanted, done) => this.begin(group, wanted, done);
    const { bytesMax } = queue;
    this.self = new AdminGroup({ type: VIRTIO_ADMIN_GROUP_TYPE.SELF, bytesMax, send, begin, functions });
    this.sriov = new AdminGroup({ type: VIRTIO_ADMIN_GROUP_TYPE.SRIOV, bytesMax, send, begin, functions });
  }

  /** Whether no command is on its way: VF Enable may be cleared. */
  get isIdle(): boolean {
    return this.queue.isIdle && this.waiting.length === 0;
  }

  /** Take answers. @returns commands that are over */
  poll(): number {
    const done = this.queue.poll();
    const next = this.queue.isIdle ? this.waiting.shift() : undefined;
    if (next !== undefined) this.use(next);
    return done;
  }

  /** Since when the oldest command waits for an answer; Infinity when none does. */
  waitingSince(): number {
    return this.queue.waitingSince();
  }

  /** The device is gone. */
  abandon(): void {
    this.queue.abandon();
    for (const { done } of this.waiting.splice(0)) done([], LOST);
  }

  private send(request: AdminRequest): boolean {
    return this.waiting.length === 0 && !this.isExclusive && this.queue.send(request, this.now());
  }

  /** LIST_QUERY, then LIST_USE of what was asked for, is known here and offered there. */
  private begin(
    group: number,
    wanted: readonly number[],
    done: (used: readonly number[], reply: AdminReply) => void,
  ): boolean {
    const unknown = wanted.find((opcode) => !KNOWN.includes(opcode));
    if (unknown !== undefined) throw new VirtioError('opcode', unknown, 'a VIRTIO_ADMIN_OPCODE', 'virtio 1.4 §2.12.1');
    const query = { opcode: LIST_QUERY, group, member: 0, data: new Uint8Array(0), resultBytes: LIST_BYTES };
    return this.send({
      ...query,
      done: (reply) => {
        if (reply.status !== VIRTIO_ADMIN_STATUS.OK) {
          done([], reply);
          return;
        }
        const used = wanted.filter((opcode) => isListed(reply.result, opcode));
        this.waiting.push({ group, used, done });
      },
    });
  }

  private use({ group, used, done }: Use): void {
    const data = new Uint8Array(LIST_BYTES / 2);
    for (const opcode of used) data[opcode >>> 3]! |= 1 << (opcode & 7);
    const request = { opcode: LIST_USE, group, member: 0, data, resultBytes: 0 };
    this.isExclusive = true;
    this.queue.send(
      {
        ...request,
        done: (reply) => {
          this.isExclusive = false;
          done(reply.status === VIRTIO_ADMIN_STATUS.OK ? used : [], reply);
        },
      },
      this.now(),
    );
  }
}

const isListed = (list: Uint8Array, opcode: number): boolean =>
  (((list[opcode >>> 3] ?? 0) >>> (opcode & 7)) & 1) === 1;
