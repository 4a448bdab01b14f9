import type { AddressSpace } from '@ringwire/guest-memory';
import { formatChange, GuardedGuest, type MemorySnapshot } from '@ringwire/guest-memory/testing';
import { featureWords } from '@ringwire/virtio-spec';
import { BufferList, type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import type { DeviceModel } from '../device-model.js';
import type { DeviceTrace } from '../trace/device-trace.js';
import type { VirtioDevice, VirtioDeviceConfig } from '../virtio-device.js';
import type { Face } from './face.js';
import { MmioFace } from './mmio-face.js';
import { PciFace, type PciFaceOptions } from './pci-face.js';

/** Status bits by hand, virtio 1.4 §2.1. */
export const S = { ACK: 1, DRIVER: 2, OK: 4, FEATURES: 8, SUSPEND: 16, NEEDS_RESET: 64, FAILED: 128 } as const;

/** Feature bits by hand, virtio 1.4 §6. */
export const F = {
  INDIRECT: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  PACKED: 34,
  IN_ORDER: 35,
  ORDER_PLATFORM: 36,
  NOTIFICATION_DATA: 38,
  NOTIF_CONFIG_DATA: 39,
  RING_RESET: 40,
  SUSPEND: 43,
} as const;

export type Layout = 'split' | 'packed';

/** One body for every transport and ring format. */
export const FACES = [['mmio'] as const, ['pci'] as const];
export const EVERYWHERE = FACES.flatMap(([face]) => [[face, 'split'] as const, [face, 'packed'] as const]);
export type FaceName = (typeof FACES)[number][0];

/** Where queue `i` lies: 0x1000 bytes for each of its parts. Buffers lie in their own page. */
export const AT = { rings: 0x1_0000, buffers: 0x8_0000 } as const;
const RINGS_BYTES = 0x4_0000;
export const SIZE = 8;

export const placeOf = (index: number): { size: number; desc: number; driver: number; device: number } => {
  const desc = AT.rings + index * 0x3000;
  return { size: SIZE, desc, driver: desc + 0x1000, device: desc + 0x2000 };
};

export interface BenchOptions {
  /** Features to accept besides VERSION_1 and the ring format's. */
  readonly accept?: readonly number[];
  readonly layout?: Layout;
  readonly translated?: boolean;
  readonly offer?: Uint32Array;
  readonly space?: (guest: GuardedGuest) => AddressSpace;
  readonly wake?: () => void;
  readonly trace?: DeviceTrace;
  /** Of the PCI function alone. */
  readonly pci?: PciFaceOptions;
}

/** A device with guest memory around it, and a driver that does what the test says. */
export class DeviceBench<M extends DeviceModel = DeviceModel> {
  readonly guest: GuardedGuest;
  readonly model: M;
  readonly face: Face;
  readonly layout: Layout;
  /** Driver's side of the queues that {@link addQueue} set up. */
  readonly rings: DriverQueue[] = [];
  private readonly accepted: readonly number[];
  private readonly used = new UsedBurst(64);
  private readonly elements = new BufferList(SIZE);

  /** @param make the type, or what makes it for the guest's memory */
  constructor(name: FaceName, make: M | ((guest: GuardedGuest) => M), options: BenchOptions = {}) {
    const { accept = [], layout = 'split' } = options;
    this.guest = new GuardedGuest(
      [
        { gpa: AT.rings, size: RINGS_BYTES },
        { gpa: AT.buffers, size: 0x4000 },
      ],
      { patternedRam: true },
    );
    const model = typeof make === 'function' ? make(this.guest) : make;
    this.model = model;
    this.layout = layout;
    this.accepted = [F.VERSION_1, ...(layout === 'packed' ? [F.PACKED] : []), ...accept];
    const { translated, offer, wake, trace } = options;
    const config: VirtioDeviceConfig = {
      model,
      space: options.space?.(this.guest) ?? this.guest.space,
      ...(translated === undefined ? {} : { translated }),
      ...(offer === undefined ? {} : { offer }),
      ...(wake === undefined ? {} : { wake }),
      ...(trace === undefined ? {} : { trace }),
    };
    this.face = name === 'mmio' ? new MmioFace(config) : new PciFace(config, options.pci);
  }

  get device(): VirtioDevice {
    return this.face.device;
  }

  /** Steps 1 to 6 of virtio 1.4 §3.1.1. @returns the status then */
  negotiate(accept: readonly number[] = this.accepted): number {
    const { face } = this;
    face.setStatus(0);
    face.setStatus(S.ACK);
    face.setStatus(S.ACK | S.DRIVER);
    featureWords(accept).forEach((word, select) => {
      face.accept(select, word);
    });
    face.setStatus(S.ACK | S.DRIVER | S.FEATURES);
    return face.status();
  }

  /** Zeroed rings, registers and enable for a queue. */
  addQueue(index: number): void {
    const place = placeOf(index);
    const features = featureWords(this.accepted);
    this.rings[index] = openDriverQueue({ space: this.guest.space, ...place, features });
    this.face.place(index, place);
    this.face.enable(index);
  }

  /** Everything up to DRIVER_OK, with these queues. */
  start(queues: readonly number[] = [0]): void {
    this.negotiate();
    for (const index of queues) this.addQueue(index);
    this.face.setStatus(S.ACK | S.DRIVER | S.FEATURES | S.OK);
  }

  /** An empty list of elements, for buffers of several. */
  list(): BufferList {
    return this.elements.clear();
  }

  /** Make a device-writable buffer of 16 bytes available; no notification. */
  offer(index: number, address: number = AT.buffers, length = 16): void {
    this.rings[index]!.addWritable(address, length);
    this.rings[index]!.publish();
  }

  /** Write what no driver may: a ring whose bookkeeping cannot be trusted. */
  breakRing(index: number): void {
    const { desc, driver } = placeOf(index);
    // Split: an available index far ahead. Packed: NEXT on every slot, all of them available.
    if (this.layout === 'split') this.guest.write(driver + 2, Uint8Array.of(0xff, 0x7f));
    else for (let slot = 0; slot < SIZE; slot++) this.guest.write(desc + slot * 16 + 14, Uint8Array.of(0x81, 0));
  }

  /** What changed outside of the parts of these queues that the device writes, and of the buffers. */
  strayChanges(since: MemorySnapshot, queues: readonly number[] = []): string[] {
    const allowed = queues.flatMap((index) => {
      const { desc, device } = placeOf(index);
      return [{ gpa: device, length: 0x1000 }, ...(this.layout === 'packed' ? [{ gpa: desc, length: 0x1000 }] : [])];
    });
    const buffers = queues.length > 0 ? [{ gpa: AT.buffers, length: 0x4000 }] : [];
    return this.guest.changesOutside(since, [...allowed, ...buffers]).map(formatChange);
  }

  /** Used buffers, as their lengths. */
  collect(index: number): number[] {
    this.used.clear();
    this.rings[index]!.takeUsed(this.used, this.used.capacity);
    return [...this.used.written.subarray(0, this.used.count)];
  }

  /** One buffer offered, notified, served and taken back: the queue works. */
  probe(index: number): void {
    this.offer(index);
    this.face.kick(index);
    this.device.step(SIZE);
    const got = this.collect(index);
    if (got.length !== 1) throw new Error(`queue ${index} gave ${got.length} buffers back`);
  }
}
