import {
  VIRTIO_NET_CTRL_COAL,
  VIRTIO_NET_CTRL_COAL_VQ,
  VIRTIO_NET_CTRL_NOTF_COAL,
  VIRTIO_NET_F,
} from '@ringwire/virtio-spec/net';
import type { ControlCommand } from './ctrl-command.js';
import type { NetQueue } from './net-queue.js';
import type { NetState } from './net-state.js';

const F = VIRTIO_NET_F;
const COAL = VIRTIO_NET_CTRL_COAL;
const COAL_VQ = VIRTIO_NET_CTRL_COAL_VQ;
/** Virtqueue indexes: receive queues are even, transmit queues odd. */
const RX = 0;
const TX = 1;

/** The class NOTF_COAL, virtio 1.4 §5.1.9.5.10. `reserved` fields are not looked at. */
export class CoalescingCommands {
  private readonly state: NetState;
  /** By virtqueue index, without the control queue. */
  private readonly queues: readonly NetQueue[];
  /** What RX_SET and TX_SET last asked for: a queue that is enabled again starts with it. */
  readonly packets: Uint32Array = new Uint32Array(2);
  readonly usecs: Uint32Array = new Uint32Array(2);

  constructor(state: NetState, queues: readonly NetQueue[]) {
    this.state = state;
    this.queues = queues;
  }

  /** As after a reset. */
  start(): void {
    this.packets.fill(0);
    this.usecs.fill(0);
    for (const queue of this.queues) this.restore(queue);
  }

  /** A queue was disabled and is enabled again. */
  restore({ index, coalescing }: NetQueue): void {
    coalescing.set(this.packets[index & 1]!, this.usecs[index & 1]!);
  }

  /** Whether a queue's parameters are those of its direction. */
  isAsOthers({ index, coalescing }: NetQueue): boolean {
    return coalescing.maxPackets === this.packets[index & 1] && coalescing.maxUsecs === this.usecs[index & 1];
  }

  /** RX_SET or TX_SET. @param direction 0 for receive queues, 1 for transmit queues */
  setDirection(direction: typeof RX | typeof TX, packets: number, usecs: number): void {
    this.packets[direction] = packets;
    this.usecs[direction] = usecs;
    for (const queue of this.queues) {
      if ((queue.index & 1) !== direction) continue;
      this.restore(queue);
      this.recheck(queue);
    }
  }

  run(command: ControlCommand): boolean {
    switch (command.command) {
      case VIRTIO_NET_CTRL_NOTF_COAL.TX_SET:
        return this.state.has(F.NOTF_COAL) && this.setAll(command, TX);
      case VIRTIO_NET_CTRL_NOTF_COAL.RX_SET:
        return this.state.has(F.NOTF_COAL) && this.setAll(command, RX);
      case VIRTIO_NET_CTRL_NOTF_COAL.VQ_SET:
        return this.state.has(F.VQ_NOTF_COAL) && this.setOne(command);
      case VIRTIO_NET_CTRL_NOTF_COAL.VQ_GET:
        return this.state.has(F.VQ_NOTF_COAL) && this.getOne(command);
      default:
        return false;
    }
  }

  private setAll(command: ControlCommand, direction: typeof RX | typeof TX): boolean {
    if (command.data.length < COAL.SIZE) return false;
    this.setDirection(direction, command.u32(COAL.max_packets), command.u32(COAL.max_usecs));
    return true;
  }

  private setOne(command: ControlCommand): boolean {
    const queue = this.enabledQueue(command, COAL_VQ.SIZE);
    if (queue === undefined) return false;
    const at = COAL_VQ.coal;
    queue.coalescing.set(command.u32(at + COAL.max_packets), command.u32(at + COAL.max_usecs));
    this.recheck(queue);
    return true;
  }

  private getOne(command: ControlCommand): boolean {
    const queue = this.enabledQueue(command, COAL_VQ.coal);
    if (queue === undefined || command.room < COAL.SIZE) return false;
    command.resultView.setUint32(COAL.max_packets, queue.coalescing.maxPackets, true);
    command.resultView.setUint32(COAL.max_usecs, queue.coalescing.maxUsecs, true);
    command.resultBytes = COAL.SIZE;
    return true;
  }

  /** What the new parameters would not have held back leaves now. */
  private recheck(queue: NetQueue): void {
    queue.checkCoalescing(this.state.port!.now());
  }

  private enabledQueue(command: ControlCommand, bytes: number): NetQueue | undefined {
    if (command.data.length < bytes) return undefined;
    const index = command.u16(COAL_VQ.vq_index);
    const queue = index < 2 * this.state.pairsMax ? this.queues[index] : undefined;
    return queue?.isOn === true ? queue : undefined;
  }
}
