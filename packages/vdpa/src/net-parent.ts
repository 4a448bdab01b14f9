import type { NetBackend } from '@ringwire/net-backend';
import { NET_SCRATCH_BYTES, NetDevice, type NetDeviceOptions } from '@ringwire/virtio-device';
import { featureWords, VIRTIO_F, VIRTIO_ID } from '@ringwire/virtio-spec';
import type { AsidSpace } from './asid-space.js';
import { ModelVdpa } from './model-vdpa.js';
import { type NetAttributes, netAttributes, netGroupOf } from './net-attributes.js';
import type { DoorbellArea, VdpaDevice } from './vdpa-device.js';
import { VDPA } from './vdpa-outcome.js';
import {
  isVdpaRefusal,
  refusal,
  type VdpaAttributes,
  type VdpaHost,
  type VdpaParent,
  type VdpaRefusal,
} from './vdpa-parent.js';

/** The bits of rings and of the status machine that a software device has. */
const RING_BITS = [
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.ORDER_PLATFORM,
  VIRTIO_F.NOTIFICATION_DATA,
  VIRTIO_F.RING_RESET,
] as const;

/** What one device of a {@link NetParent} is plugged into, and where it reaches memory. */
export interface NetSeat {
  readonly backend: NetBackend;
  /** By address-space id: data queues use 0 at first, and so does the control queue. */
  readonly spaces: readonly AsidSpace[];
  readonly doorbell?: (index: number) => DoorbellArea | undefined;
  readonly irq?: (index: number) => number | undefined;
  /** The device was made. */
  opened?(device: ModelVdpa): void;
  readonly suspended?: (isSuspended: boolean) => void;
  /** The device was removed. */
  close(): void;
}

/** What a management device can make, and where its devices go. */
export interface NetParentConfig {
  readonly name: string;
  readonly host: VdpaHost;
  readonly vendorId?: number;
  /** Pairs of queues that one device can have; 1 unless given. */
  readonly pairs?: number;
  /** Devices at a time; 1 unless given. */
  readonly devices?: number;
  /** Where the place-th device goes. @returns undefined when there is no room */
  readonly seat: (place: number, attributes: NetAttributes) => NetSeat | undefined;
  /** The address of the place-th device, unless one is asked for; 02:00:00:00:00:place+1 unless given. */
  readonly mac?: (place: number) => Uint8Array;
  readonly device?: Partial<NetDeviceOptions>;
}

interface Made {
  readonly place: number;
  readonly model: NetDevice;
  readonly seat: NetSeat;
  readonly scratch: number;
}

/** A management device whose devices are network devices of ours, each in a seat that says what it is plugged into. */
export class NetParent implements VdpaParent {
  readonly name: string;
  readonly classes: readonly number[] = [VIRTIO_ID.NET];
  readonly maxQueues: number;
  readonly features: Uint32Array;
  private readonly config: NetParentConfig;
  private readonly pairs: number;
  private readonly made: Map<VdpaDevice, Made> = new Map();

  constructor(config: NetParentConfig) {
    this.config = config;
    this.name = config.name;
    this.pairs = config.pairs ?? 1;
    this.maxQueues = 2 * this.pairs + 1;
    this.features = this.featuresOf();
  }

  /** The network device behind one that was added. */
  modelOf(device: VdpaDevice): NetDevice | undefined {
    return this.made.get(device)?.model;
  }

  add(name: string, attributes: VdpaAttributes): ModelVdpa | VdpaRefusal {
    const { config, pairs, features } = this;
    const places = new Set([...this.made.values()].map(({ place }) => place));
    const place = Array.from({ length: config.devices ?? 1 }, (_, at) => at).find((at) => !places.has(at));
    if (place === undefined)
      return refusal(VDPA.NO_ROOM, `${this.name} has ${this.made.size} devices and no room for ${name}`);
    const mac = config.mac?.(place) ?? Uint8Array.of(2, 0, 0, 0, 0, place + 1);
    const checked = netAttributes(attributes, { mac, mtu: config.device?.mtu ?? 1500, pairsMax: pairs, features });
    if (isVdpaRefusal(checked)) return checked;
    if (config.host.pages.available < NET_SCRATCH_BYTES)
      return refusal(VDPA.NO_ROOM, `${this.name} has no memory left for ${name}`);
    const seat = config.seat(place, checked);
    if (seat === undefined) return refusal(VDPA.NO_ROOM, `${this.name} has no place for ${name}`);
    return this.make(place, checked, seat);
  }

  remove(device: VdpaDevice): void {
    const made = this.made.get(device);
    if (made === undefined) return;
    this.made.delete(device);
    made.model.close();
    made.seat.close();
    this.config.host.pages.free(made.scratch);
  }

  private make(place: number, { mac, mtu, pairs, features }: NetAttributes, seat: NetSeat): ModelVdpa {
    const { host, vendorId, device: options } = this.config;
    const scratch = host.pages.allocate(NET_SCRATCH_BYTES);
    const { backend, spaces, doorbell, irq, suspended } = seat;
    const { memory, now } = host;
    const model = new NetDevice({ ...options, memory, scratch, backend, mac, mtu, pairs });
    const device = new ModelVdpa({
      model,
      spaces,
      offer: features,
      groups: 2,
      groupOf: netGroupOf(pairs),
      ...(vendorId === undefined ? {} : { vendorId }),
      ...(doorbell === undefined ? {} : { doorbell }),
      ...(irq === undefined ? {} : { irq }),
      ...(suspended === undefined ? {} : { suspended }),
      ...(now === undefined ? {} : { now }),
    });
    this.made.set(device, { place, model, seat, scratch });
    seat.opened?.(device);
    return device;
  }

  /** What a device with all pairs offers: a model says so. */
  private featuresOf(): Uint32Array {
    const { host, device: options } = this.config;
    const scratch = host.pages.allocate(NET_SCRATCH_BYTES);
    const nothing = { offloads: 0, attach: () => {}, receive: () => 2 as const, pump: () => 0 };
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const model = new NetDevice({ ...options, memory: host.memory, scratch, backend: nothing, mac, pairs: this.pairs });
    host.pages.free(scratch);
    const words = featureWords(RING_BITS);
    return words.map((word, at) => word | (model.features[at] ?? 0));
  }
}
