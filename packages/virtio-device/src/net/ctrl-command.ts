import { gather, type HostMemory, scatter } from '@ringwire/guest-memory';
import { VIRTIO_NET_CTRL } from '@ringwire/virtio-spec/net';
import type { ChainBurst } from '@ringwire/virtqueue';

/** Bytes of class and command before the data, and of `ack` before the result. */
const HEAD = VIRTIO_NET_CTRL.data;
const ACK_BYTES = 1;

/**
 * One command of the control queue, copied out of the driver's memory once: every handler reads the copy. Of longer data
 * the rest is fetched piece by piece, no byte twice.
 */
export class ControlCommand {
  class = 0;
  command = 0;
  /** Data bytes that the driver gave. Only the first `data.length` of them are in `data`. */
  length = 0;
  /** The first data bytes; a view of the copy that is good during the command. */
  data: Uint8Array;
  /** Bytes of a result that the driver has room for. */
  room = 0;
  /** Bytes of the result that a handler left in `result`. */
  resultBytes = 0;
  readonly result: Uint8Array;
  readonly resultView: DataView;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private memory: HostMemory;
  private burst: ChainBurst | undefined = undefined;
  private chain = 0;
  /** Of another thread, in place of the burst. */
  private adopted: Uint8Array | undefined = undefined;

  /** @param most data bytes to copy at once, @param mostResult bytes of the longest result */
  constructor(memory: HostMemory, most: number, mostResult: number) {
    this.memory = memory;
    this.bytes = new Uint8Array(HEAD + most);
    this.view = new DataView(this.bytes.buffer, HEAD);
    this.data = this.bytes.subarray(HEAD, HEAD);
    this.result = new Uint8Array(mostResult);
    this.resultView = new DataView(this.result.buffer);
  }

  /** @returns false for a command that is cut within class and command */
  load(burst: ChainBurst, chain: number): boolean {
    const first = burst.first[chain]!;
    this.burst = burst;
    this.adopted = undefined;
    this.chain = chain;
    this.resultBytes = 0;
    this.room = burst.writableBytes(chain) - ACK_BYTES;
    const readable = burst.readableBytes(chain);
    const copied = gather(this.memory, burst.segments, first, burst.firstWritable[chain]! - first, this.bytes);
    this.length = readable - HEAD;
    if (readable < HEAD) return false;
    this.class = this.bytes[VIRTIO_NET_CTRL.class]!;
    this.command = this.bytes[VIRTIO_NET_CTRL.command]!;
    this.data = this.bytes.subarray(HEAD, copied);
    return true;
  }

  /** Another thread's command, to be carried out without an answer. @param bytes as of {@link whole} */
  adopt(bytes: Uint8Array): void {
    this.bytes.set(bytes.subarray(0, this.bytes.length));
    this.adopted = bytes;
    this.class = bytes[VIRTIO_NET_CTRL.class]!;
    this.command = bytes[VIRTIO_NET_CTRL.command]!;
    this.length = bytes.length - HEAD;
    this.data = this.bytes.subarray(HEAD, Math.min(bytes.length, this.bytes.length));
    this.resultBytes = 0;
    this.room = this.result.length;
  }

  /** Class, command and all data bytes: a copy. */
  whole(): Uint8Array {
    const bytes = new Uint8Array(HEAD + this.length);
    bytes.set(this.bytes.subarray(0, HEAD + this.data.length));
    this.fetch(this.data.length, bytes.subarray(HEAD + this.data.length), this.length - this.data.length);
    return bytes;
  }

  /** A field of the copied data; the caller knows that it is there. */
  u16(at: number): number {
    return this.view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** Copy data bytes from `at` on that lie behind the copy. @returns whether all of them are there */
  fetch(at: number, out: Uint8Array, length: number): boolean {
    if (at + length > this.length) return false;
    if (this.adopted !== undefined) {
      out.set(this.adopted.subarray(HEAD + at, HEAD + at + length));
      return true;
    }
    const { burst, chain } = this;
    const first = burst!.first[chain]!;
    const ranges = burst!.firstWritable[chain]! - first;
    return gather(this.memory, burst!.segments, first, ranges, out.subarray(0, length), HEAD + at) === length;
  }

  /** Write the answer. @returns bytes written */
  answer(ack: Uint8Array): number {
    const { burst, chain, memory } = this;
    const first = burst!.firstWritable[chain]!;
    const ranges = burst!.end(chain) - first;
    scatter(memory, burst!.segments, first, ranges, ack);
    if (this.resultBytes > 0)
      scatter(memory, burst!.segments, first, ranges, this.result.subarray(0, this.resultBytes), ACK_BYTES);
    return ACK_BYTES + this.resultBytes;
  }
}

/** Carries a command out. @returns false to answer VIRTIO_NET_ERR; nothing changed then */
export type ControlHandler = (command: ControlCommand) => boolean;
