import type { QueueSetup } from '@ringwire/guest-drivers';
import type { AddressSpace } from '@ringwire/guest-memory';
import { VIRTIO_NET_ACK, VIRTIO_NET_CTRL, VIRTIO_NET_CTRL_CLASS, VIRTIO_NET_CTRL_MQ } from '@ringwire/virtio-spec/net';
import { ChainBurst, type DeviceQueue, isRefusal, openDeviceQueue } from '@ringwire/virtqueue';

/** Bytes of the one command that there is: its header and a number of queue pairs. */
const COMMAND_BYTES: number = VIRTIO_NET_CTRL.data + 2;
const BURST = 8;

/** The device side of the control queue, which a back-end knows nothing of. @see virtio 1.4 §5.1.9.5.5 */
export class FrontEndControl {
  private readonly space: AddressSpace;
  private readonly queue: DeviceQueue;
  private readonly setPairs: (pairs: number) => boolean;
  private readonly burst: ChainBurst = new ChainBurst(BURST);
  private readonly command: Uint8Array = new Uint8Array(COMMAND_BYTES);

  private constructor(space: AddressSpace, queue: DeviceQueue, setPairs: (pairs: number) => boolean) {
    this.space = space;
    this.queue = queue;
    this.setPairs = setPairs;
  }

  /**
   * @param setPairs carries a command out, and says whether it could
   * @returns the queue, or why there can't be one
   */
  static open(
    space: AddressSpace,
    setup: QueueSetup,
    features: Uint32Array,
    setPairs: (pairs: number) => boolean,
  ): FrontEndControl | string {
    const queue = openDeviceQueue({ space, ...setup, features });
    return isRefusal(queue) ? queue.message : new FrontEndControl(space, queue, setPairs);
  }

  /** Carry out what the driver asks for. @returns whether it wants to be told */
  serve(): boolean {
    const { space, queue, burst } = this;
    space.enter();
    // A driver has at most a ring full of commands, however it goes on.
    for (let left = queue.size; left > 0; ) {
      burst.clear();
      const taken = queue.takeBurst(burst, Math.min(BURST, left));
      if (taken === 0 && !queue.enableNotifications()) break;
      left -= Math.max(1, taken);
      for (let i = 0; i < taken; i++) queue.putUsed(burst.token[i]!, this.answer(i));
    }
    const isWanted = queue.publishUsed();
    space.leave();
    return isWanted;
  }

  /** @returns bytes written: the answer, where there is room for one */
  private answer(i: number): number {
    const { burst, command } = this;
    const { segments } = burst;
    const ackAt = burst.firstWritable[i]!;
    if (burst.fault[i] !== 0 || ackAt === burst.end(i)) return 0;
    const { u8 } = this.space.memory;
    let bytes = 0;
    for (let segment = burst.first[i]!; segment < ackAt; segment++) {
      const at = segments.offset[segment]!;
      const length = Math.min(segments.length[segment]!, COMMAND_BYTES - bytes);
      command.set(u8.subarray(at, at + length), bytes);
      bytes += length;
    }
    u8[segments.offset[ackAt]!] = bytes === COMMAND_BYTES && this.obey() ? VIRTIO_NET_ACK.OK : VIRTIO_NET_ACK.ERR;
    return 1;
  }

  private obey(): boolean {
    const { command } = this;
    return (
      command[VIRTIO_NET_CTRL.class] === VIRTIO_NET_CTRL_CLASS.MQ &&
      command[VIRTIO_NET_CTRL.command] === VIRTIO_NET_CTRL_MQ.VQ_PAIRS_SET &&
      this.setPairs(command[VIRTIO_NET_CTRL.data]! | (command[VIRTIO_NET_CTRL.data + 1]! << 8))
    );
  }
}
