import { ACCESS, GuestMemory, type HostMemory } from '@ringwire/guest-memory';
import type { QueuePlace, VdpaDevice } from '@ringwire/vdpa';
import { DEVICE_STATUS, featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import type { Layout } from '../case-plan.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;
const PAGE = 4096;
/** Host memory of a driver: a page for each ring, and buffers. */
export const DRIVER_BYTES = 0x4_0000;
const AT = { rings: 0, rx: 0x1_0000, tx: 0x2_0000 } as const;
/** Parts of a ring in its page. */
const RING = { driver: 0x400, device: 0x800 } as const;
const SIZE = 32;
const BUFFER_BYTES = 2048;
const HEADER_BYTES = 12;
const FRAME_BYTES = 64;
const NUMBER_AT = HEADER_BYTES + 14;
const [RX, TX] = [0, 1];
const RW = ACCESS.READ | ACCESS.WRITE;
/** Where the device finds this memory. */
const IOVA = 0x7000_0000;
/** To everyone, from a station, of no protocol. */
const FRAME = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5);

/** A guest's driver of one device with one queue pair: it outlives the device, so that another one can go on in its rings. */
export class MovingDriver {
  device: VdpaDevice;
  sent = 0;
  /** Frames that came back: in order, each once. */
  received = 0;
  lost = 0;
  doubled = 0;
  private readonly memory: HostMemory;
  private readonly host: number;
  private readonly features: Uint32Array;
  private readonly queues: readonly [DriverQueue, DriverQueue];
  private readonly used = new UsedBurst(SIZE);
  private readonly free: number[] = Array.from({ length: SIZE }, (_, slot) => slot);
  private readonly slots = new Int32Array(2 * SIZE);
  /** Pages that this driver wrote, until they are asked for. */
  private readonly pages = new Uint8Array(DRIVER_BYTES / PAGE);

  /** @param host offset of `DRIVER_BYTES`, zeros */
  constructor(memory: HostMemory, host: number, device: VdpaDevice, layout: Layout) {
    const bits: number[] = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM];
    if (layout === 'packed') bits.push(VIRTIO_F.RING_PACKED);
    this.memory = memory;
    this.host = host;
    this.device = device;
    this.features = featureWords(bits);
    const space = new GuestMemory(memory, [{ gpa: IOVA, size: DRIVER_BYTES, host }]);
    const open = (index: number): DriverQueue =>
      openDriverQueue({ space, size: SIZE, ...addressesOf(index), features: this.features });
    this.queues = [open(RX), open(TX)];
    for (let slot = 0; slot < SIZE; slot++) this.offer(slot);
    this.queues[RX]!.publish();
  }

  /** Everything from reset to DRIVER_OK. @throws when the device does not agree */
  start(): void {
    const { device } = this;
    const mapped = device.map(0, { iova: IOVA, bytes: DRIVER_BYTES, host: this.host, access: RW });
    if (mapped !== 0) throw new Error(`mapping ends with ${mapped}`);
    device.setStatus(ACKNOWLEDGE);
    device.setStatus(ACKNOWLEDGE | DRIVER);
    device.setDriverFeatures(this.features);
    device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    for (const { index, size, addresses } of this.places) {
      device.setQueueSize(index, size);
      device.setQueueAddresses(index, addresses);
      device.setQueueReady(index, true);
    }
    device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    if ((device.status & DRIVER_OK) === 0) throw new Error(`the device does not start: ${device.problem}`);
    device.kick(RX);
  }

  /** Where the queues are. */
  get places(): readonly QueuePlace[] {
    return [RX, TX].map((index) => ({ index, size: SIZE, addresses: addressesOf(index) }));
  }

  /** What this driver wrote since it was asked last. */
  takeWritten(): { host: number; bytes: number }[] {
    const ranges: { host: number; bytes: number }[] = [];
    for (let page = 0; page < this.pages.length; page++)
      if (this.pages[page] === 1) ranges.push({ host: this.host + page * PAGE, bytes: PAGE });
    this.pages.fill(0);
    return ranges;
  }

  /** Send some frames, let the device work, take what came. @returns 0 when nothing moved */
  turn(frames: number): number {
    for (let n = 0; n < frames; n++) if (!this.send()) break;
    const moved = this.device.step(SIZE);
    return moved + this.collect() + this.reap();
  }

  private send(): boolean {
    const slot = this.free.pop();
    if (slot === undefined) return false;
    const at = AT.tx + slot * BUFFER_BYTES;
    const { u8, view } = this.memory;
    u8.fill(0, this.host + at, this.host + at + HEADER_BYTES + FRAME_BYTES);
    u8.set(FRAME, this.host + at + HEADER_BYTES);
    view.setUint32(this.host + at + NUMBER_AT, this.sent, true);
    const queue = this.queues[TX]!;
    this.slots[SIZE + queue.addReadable(IOVA + at, HEADER_BYTES + FRAME_BYTES)] = slot;
    this.sent++;
    this.note(at);
    this.note(AT.rings + TX * PAGE);
    if (queue.publish()) this.device.kick(TX, queue.notificationData(TX));
    return true;
  }

  private collect(): number {
    const { used, memory, host } = this;
    const queue = this.queues[RX]!;
    used.clear();
    const taken = queue.takeUsed(used, SIZE);
    for (let i = 0; i < taken; i++) {
      const slot = this.slots[used.token[i]!]!;
      const number = memory.view.getUint32(host + AT.rx + slot * BUFFER_BYTES + NUMBER_AT, true);
      if (number < this.received) this.doubled++;
      else {
        this.lost += number - this.received;
        this.received = number + 1;
      }
      this.offer(slot);
    }
    if (queue.broken !== 0) throw new Error('the device cannot be believed any more');
    if (taken > 0 && queue.publish()) this.device.kick(RX, queue.notificationData(RX));
    return taken;
  }

  private reap(): number {
    const { used } = this;
    used.clear();
    const taken = this.queues[TX]!.takeUsed(used, SIZE);
    for (let i = 0; i < taken; i++) this.free.push(this.slots[SIZE + used.token[i]!]!);
    return taken;
  }

  private offer(slot: number): void {
    const id = this.queues[RX]!.addWritable(IOVA + AT.rx + slot * BUFFER_BYTES, BUFFER_BYTES);
    this.slots[id] = slot;
    this.note(AT.rings + RX * PAGE);
  }

  private note(at: number): void {
    this.pages[Math.floor(at / PAGE)] = 1;
  }
}

function addressesOf(index: number): QueuePlace['addresses'] {
  const desc = IOVA + AT.rings + index * PAGE;
  return { desc, driver: desc + RING.driver, device: desc + RING.device };
}
