import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_IOMMU_REQ_HEAD,
  VIRTIO_IOMMU_REQ_PROBE,
  VIRTIO_IOMMU_REQ_TAIL,
  VIRTIO_IOMMU_S,
} from '@ringwire/virtio-spec/iommu';
import { BufferList, type DriverQueue, NO_ROOM, USED, UsedBurst } from '@ringwire/virtqueue';

/** What became of a request that the device did not answer: in place of a `VIRTIO_IOMMU_S` status. */
export const UNANSWERED = -1;

/** A part of the driver's own memory: a multiple of 8, contiguous. */
export interface DriverArea {
  readonly space: AddressSpace;
  readonly address: number;
  readonly bytes: number;
}

/** Host offset of an area. @throws VirtioError when it is no place for buffers */
export function placeArea({ space, address, bytes }: DriverArea): number {
  const host = address % 8 === 0 ? space.resolve(address, bytes, ACCESS.READ | ACCESS.WRITE) : -1;
  if (host >= 0) return host;
  throw new VirtioError('address', address, `${bytes} contiguous bytes, aligned to 8`, 'virtio 1.4 §5.13.6');
}

/** Offset in the request and a 32-bit value. */
export type RequestField = readonly [offset: number, value: number];

/** A 64-bit field. @param value below 2^53 */
export const longField = (offset: number, value: number): RequestField[] => [
  [offset, value >>> 0],
  [offset + 4, Math.floor(value / 0x1_0000_0000)],
];

/**
 * Called when the request came back.
 * @param properties what the device wrote before the tail
 */
export type RequestDone = (ok: boolean, properties: Uint8Array) => void;

interface Pending {
  readonly ticket: number;
  readonly slot: number;
  /** Device-writable bytes. */
  readonly writable: number;
  readonly done: RequestDone;
}

const READABLE = VIRTIO_IOMMU_REQ_PROBE.SIZE;
const TAIL_BYTES = VIRTIO_IOMMU_REQ_TAIL.SIZE;
const BURST = 16;

/** Requests on their way: each in a slot of memory with room for any request, its reply behind it. */
export class RequestSlots {
  private readonly queue: DriverQueue;
  private readonly area: DriverArea;
  private readonly host: number;
  private readonly slotBytes: number;
  private readonly free: number[] = [];
  private readonly pending: Map<number, Pending> = new Map();
  private readonly buffer: BufferList = new BufferList(2);
  private readonly used: UsedBurst = new UsedBurst(BURST);
  private nextTicket = 0;

  /** @throws VirtioError for an area without room for one request */
  constructor(queue: DriverQueue, area: DriverArea, probeSize: number) {
    this.queue = queue;
    this.area = area;
    this.host = placeArea(area);
    this.slotBytes = Math.ceil((READABLE + probeSize + TAIL_BYTES) / 8) * 8;
    if (area.bytes < this.slotBytes)
      throw new VirtioError('bytes', area.bytes, `at least ${this.slotBytes}`, 'virtio 1.4 §5.13.6');
    for (let slot = 0; slot + this.slotBytes <= area.bytes; slot += this.slotBytes) this.free.push(slot);
  }

  /**
   * Put a request into the ring. What no field says is zero, reserved bytes among it.
   * @param bytes      device-readable bytes
   * @param properties device-writable bytes before the tail
   * @returns the request's ticket, or NO_ROOM
   */
  send(type: number, bytes: number, properties: number, fields: readonly RequestField[], done: RequestDone): number {
    const slot = this.free.at(-1);
    if (slot === undefined) return NO_ROOM;
    const writable = properties + TAIL_BYTES;
    const address = this.area.address + slot;
    this.buffer
      .clear()
      .addReadable(address, bytes)
      .addWritable(address + READABLE, writable);
    const { engine, view } = this.area.space.memory;
    const at = this.host + slot;
    engine.fill(at, 0, this.slotBytes);
    view.setUint8(at + VIRTIO_IOMMU_REQ_HEAD.type, type);
    for (const [offset, value] of fields) view.setUint32(at + offset, value, true);
    const id = this.queue.add(this.buffer);
    if (id === NO_ROOM) return NO_ROOM;
    this.free.pop();
    const ticket = this.nextTicket++;
    this.pending.set(id, { ticket, slot, writable, done });
    return ticket;
  }

  /** @see VirtioIommuDriver.poll */
  poll(report: (ticket: number, status: number) => void): void {
    const { used, queue } = this;
    for (;;) {
      used.clear();
      if (queue.takeUsed(used, BURST) === 0) return;
      for (let i = 0; i < used.count; i++) {
        const whole = used.outcome[i] === USED.GOOD;
        this.finish(used.token[i]!, whole ? used.written[i]! : 0, report);
      }
    }
  }

  private finish(id: number, written: number, report: (ticket: number, status: number) => void): void {
    const { ticket, slot, writable, done } = this.pending.get(id)!;
    this.pending.delete(id);
    // A copy: the device may still be writing.
    const at = this.host + slot + READABLE;
    const reply = this.area.space.memory.u8.slice(at, at + writable);
    this.free.push(slot);
    const properties = writable - TAIL_BYTES;
    const status = written < writable ? UNANSWERED : reply[properties + VIRTIO_IOMMU_REQ_TAIL.status]!;
    done(status === VIRTIO_IOMMU_S.OK, reply.subarray(0, properties));
    report(ticket, status);
  }
}
