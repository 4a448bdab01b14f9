import { hasFeature, VIRTIO_F, VIRTQ_DESC_F } from '@ringwire/virtio-spec';
import type { ScriptedDevice } from './scripted-device.js';

/** Writes used buffers byte by byte, whatever is in the ring: the hand of a device that lies. */
export class RawUsed {
  private readonly device: ScriptedDevice;
  private readonly index: number;
  private readonly isPacked: boolean;
  private position = 0;
  private wrap = 1;

  constructor(device: ScriptedDevice, index: number) {
    this.device = device;
    this.index = index;
    this.isPacked = hasFeature(device.driverFeatures, VIRTIO_F.RING_PACKED);
  }

  /** @param slots of the packed ring that the buffer filled */
  put(id: number, length: number, slots = 1): void {
    if (this.isPacked) this.putPacked(id, length, slots);
    else this.putSplit(id, length);
  }

  /** Split: set the used index. */
  setIndex(index: number): void {
    Atomics.store(this.u16, (this.host('device', 4) >> 1) + 1, index & 0xffff);
  }

  /** The id of the buffer that the driver made available as the n-th one since the ring is in use. */
  available(n: number): number {
    const { size } = this.queue;
    if (!this.isPacked) return this.u16[(this.host('driver', 4) >> 1) + 2 + (n % size)]!;
    return this.u16[((this.host('desc', 16) + (n % size) * 16) >> 1) + 6]!;
  }

  private putSplit(id: number, length: number): void {
    const u32 = this.device.space.memory.u32;
    const at = (this.host('device', 4) >> 2) + 1 + (this.position % this.queue.size) * 2;
    u32[at] = id;
    u32[at + 1] = length;
    this.position = (this.position + 1) & 0xffff;
    this.setIndex(this.position);
  }

  private putPacked(id: number, length: number, slots: number): void {
    const { u16, u32 } = this.device.space.memory;
    const at = this.host('desc', 16) + this.position * 16;
    u32[(at >> 2) + 2] = length;
    u16[(at >> 1) + 6] = id;
    Atomics.store(u16, (at >> 1) + 7, this.wrap === 1 ? VIRTQ_DESC_F.AVAIL | VIRTQ_DESC_F.USED : 0);
    this.position += slots;
    if (this.position >= this.queue.size) {
      this.position -= this.queue.size;
      this.wrap ^= 1;
    }
  }

  private get queue(): ScriptedDevice['queues'][number] {
    return this.device.queues[this.index]!;
  }

  private get u16(): Uint16Array {
    return this.device.space.memory.u16;
  }

  private host(part: 'desc' | 'driver' | 'device', bytes: number): number {
    return this.device.space.resolve(this.queue[part], bytes, 3);
  }
}
