import type { BarRegion } from '@ringwire/pci';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import type { Place } from './pci-layout.js';
import type { VirtioDevice } from './virtio-device.js';

/**
 * Where drivers write available buffer notifications. With an address per queue the address says which queue it is, and
 * what is written is not looked at; with one address for all, the value says so.
 * @see virtio 1.4 §4.1.4.4, §4.1.5.2
 */
export class PciNotify {
  /** Writes that name no queue. */
  ignored = 0;
  private readonly place: Place;
  /** Bytes from one queue's address to the next one's; 0: there is one for all. */
  readonly stride: number;
  private readonly device: VirtioDevice;
  private readonly queueOf: ReadonlyMap<number, number>;
  /** One address: the low byte of a value that arrives byte by byte. */
  private lowByte = 0;

  /** @param notifConfigData of a queue, 16 bits, each once */
  constructor(device: VirtioDevice, place: Place, multiplier: number, notifConfigData: (queue: number) => number) {
    this.device = device;
    this.place = place;
    this.stride = multiplier;
    this.queueOf = new Map(device.queues.map(({ index }) => [notifConfigData(index), index]));
  }

  region(): BarRegion {
    const { offset, length } = this.place;
    const size = Math.ceil(length / 4) * 4;
    return { offset, size, read: () => 0, write: (at, bytes, value) => this.write(at, bytes, value) };
  }

  private write(at: number, size: number, value: number): void {
    if (this.stride === 0) this.writeShared(at, size, value);
    // The first byte of a queue's address stands for the access: other parts of it do not count again.
    else if (at % this.stride === 0) this.device.notify(at / this.stride);
    else this.ignored++;
  }

  private writeShared(at: number, size: number, value: number): void {
    if (at === 0 && size === 1) {
      this.lowByte = value;
      return;
    }
    const isHighByte = at === 1 && size === 1;
    if (at !== 0 && !isHighByte) {
      this.ignored++;
      return;
    }
    const id = isHighByte ? this.lowByte | (value << 8) : value & 0xffff;
    const queue = this.device.negotiated(VIRTIO_F.NOTIF_CONFIG_DATA) ? this.queueOf.get(id) : id;
    if (queue === undefined) this.ignored++;
    else this.device.notify(queue);
  }
}
