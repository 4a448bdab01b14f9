import type { AddressSpace } from '@ringwire/guest-memory';
import { openLoopedDeviceQueue } from '@ringwire/ring-loops';
import { isPvirtqSize, isVirtqSize, VirtioError } from '@ringwire/virtio-spec';
import { type DeviceQueue, isRefusal, type QueueRefusal, type QueueState } from '@ringwire/virtqueue';
import { KEPT, type KeptPosition, type QueueKeeper } from './queue-keeper.js';
import type { DeviceTrace } from './trace/device-trace.js';
import { TracedQueue } from './trace/traced-queue.js';

/** The three parts of a virtqueue, in the order in which the transports have their addresses. */
export const QUEUE_AREA = { desc: 0, driver: 1, device: 2 } as const;

const AREA_NAMES = ['queue_desc', 'queue_driver', 'queue_device'] as const;
const ALL_AREAS = 7;
const TWO_32 = 0x1_0000_0000;
/** Addresses are exact below 2^53. */
const HIGH_END = 0x20_0000;

/** The registers of one virtqueue, and the queue itself while it is enabled. Frozen then: see {@link QueueSlot.enabled}. */
export class QueueSlot {
  readonly index: number;
  /** Queue Size that is offered; 0: there is no such queue. */
  readonly sizeMax: number;
  /** Queue Size that holds: the last one written that can be, or the offered one. */
  size: number;
  /** The queue, from enable to reset. */
  queue: DeviceQueue | undefined;
  /** Why the driver's last try to enable it failed. */
  refusal: string | undefined;

  /** As written, be it nonsense, so that a register that is written byte by byte comes together. */
  private sizeWritten: number;
  private sizeProblem: string | undefined;
  private readonly lo = new Uint32Array(3);
  private readonly hi = new Uint32Array(3);
  /** Bit per area of which a half was written. */
  private areasWritten = 0;

  private readonly trace: DeviceTrace | undefined;
  private readonly keeper: QueueKeeper | undefined;

  /** @throws VirtioError for a size that a split queue cannot have */
  constructor(index: number, sizeMax: number, trace?: DeviceTrace, keeper?: QueueKeeper) {
    if (sizeMax !== 0 && !isVirtqSize(sizeMax))
      throw new VirtioError('queueSizes', sizeMax, '0, or a power of two ≤ 32768', 'virtio 1.4 §2.7');
    this.index = index;
    this.sizeMax = sizeMax;
    this.size = sizeMax;
    this.sizeWritten = sizeMax;
    this.trace = trace;
    this.keeper = keeper;
  }

  get enabled(): boolean {
    return this.queue !== undefined;
  }

  /** What the size register was last written with; the rest of it, while it is being written in parts. */
  get rawSize(): number {
    return this.sizeWritten;
  }

  /** @param packed whether RING_PACKED is negotiated: other sizes than powers of two exist only then */
  writeSize(value: number, packed: boolean): void {
    this.sizeWritten = value;
    const good = (packed ? isPvirtqSize(value) : isVirtqSize(value)) && value <= this.sizeMax;
    const want = packed ? `1 to ${this.sizeMax}` : `a power of two ≤ ${this.sizeMax}`;
    const spec = packed ? 'virtio 1.4 §2.8' : 'virtio 1.4 §2.7';
    this.sizeProblem = good ? undefined : new VirtioError('queue_size', value, want, spec).message;
    if (good) this.size = value;
  }

  /** One half of an address. @param area of `QUEUE_AREA` */
  writeAddress(area: number, high: boolean, value: number): void {
    (high ? this.hi : this.lo)[area] = value;
    this.areasWritten |= 1 << area;
  }

  readAddress(area: number, high: boolean): number {
    return (high ? this.hi : this.lo)[area]!;
  }

  /** The whole address. It may be beyond 2^53, and inexact then. */
  address(area: number): number {
    return this.hi[area]! * TWO_32 + this.lo[area]!;
  }

  /**
   * Start the queue where the driver put it.
   * @param position where another device left off in it, KEPT where the keeper knows that; its start unless given
   * @returns false, with {@link refusal} set, when it cannot run there
   */
  enable(space: AddressSpace, features: Uint32Array, position?: QueueState | KeptPosition): boolean {
    this.refusal = this.problem();
    if (this.refusal !== undefined) return false;
    const [desc, driver, device] = [this.address(0), this.address(1), this.address(2)];
    const config = { space, size: this.size, desc, driver, device, features };
    const state = position === KEPT ? this.keeper?.resume(this.index, config) : position;
    const opened = openLoopedDeviceQueue(config, typeof state === 'string' ? undefined : state);
    if (isRefusal(opened) || typeof state === 'string') {
      this.refusal = typeof state === 'string' ? state : (opened as QueueRefusal).message;
      return false;
    }
    const queue = this.keeper?.keep(this.index, opened, position === KEPT, config) ?? opened;
    this.queue = this.trace === undefined ? queue : new TracedQueue(queue, this.index, this.trace);
    return true;
  }

  /** End the queue and keep its registers. */
  disable(): void {
    this.queue?.stop();
    this.queue = undefined;
  }

  /** As after a device reset. @see virtio 1.4 §2.6.1.1.1 */
  reset(): void {
    this.disable();
    this.size = this.sizeMax;
    this.sizeWritten = this.sizeMax;
    this.sizeProblem = undefined;
    this.refusal = undefined;
    this.lo.fill(0);
    this.hi.fill(0);
    this.areasWritten = 0;
  }

  private problem(): string | undefined {
    if (this.sizeProblem !== undefined) return this.sizeProblem;
    if (this.areasWritten !== ALL_AREAS) {
      const missing = AREA_NAMES.filter((_, area) => (this.areasWritten & (1 << area)) === 0);
      return `${missing.join(', ')} ${missing.length === 1 ? 'was' : 'were'} never written (virtio 1.4 §4.1.5.1.3)`;
    }
    const beyond = AREA_NAMES.findIndex((_, area) => this.hi[area]! >= HIGH_END);
    if (beyond < 0) return undefined;
    const address = (BigInt(this.hi[beyond]!) << 32n) | BigInt(this.lo[beyond]!);
    return new VirtioError(AREA_NAMES[beyond]!, `0x${address.toString(16)}`, 'an address below 2^53', 'virtio 1.4 §2.7')
      .message;
  }
}
