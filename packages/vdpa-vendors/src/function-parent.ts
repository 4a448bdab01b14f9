import { type Breakdown, isBreakdown } from '@ringwire/guest-drivers';
import {
  ControlVdpa,
  type DomainMappings,
  isVdpaRefusal,
  netAttributes,
  refusal,
  VDPA,
  type VdpaAttributes,
  type VdpaDevice,
  type VdpaParent,
  type VdpaRefusal,
  type VendorControl,
} from '@ringwire/vdpa';
import { VIRTIO_ID } from '@ringwire/virtio-spec';
import { type CardSlot, COMMANDS_IOVA } from './card-slot.js';

/** What a vendor's add-on knows of its card. */
export interface VendorCard {
  /** Such as `pci/0000:01:00.0`. */
  readonly name: string;
  readonly vendorId: number;
  /** Virtual functions: so many devices there may be. */
  readonly functions: number;
  readonly slot: CardSlot;
  /** The address of a function's device unless one is asked for. */
  macOf(place: number): Uint8Array;
  /** Take a virtual function into use. @param mac the host's decision */
  open(place: number, mac: Uint8Array): VendorControl | Breakdown;
  /** Vector of a queue. */
  vectorOf(queue: number): number;
  /** The turn of everything that is not a virtual function's, such as the physical one's driver. */
  serve(): number;
}

interface Made {
  readonly place: number;
  readonly control: VendorControl;
  readonly mappings: DomainMappings;
}

/**
 * A card whose virtual functions have virtio rings, as a management device: each device is one of them, behind its vendor's
 * control plane and in its own domain of the IOMMU.
 */
export class FunctionParent implements VdpaParent {
  readonly name: string;
  readonly classes: readonly number[] = [VIRTIO_ID.NET];
  readonly maxQueues: number;
  readonly features: Uint32Array;
  private readonly card: VendorCard;
  private readonly made: Map<ControlVdpa, Made> = new Map();
  /** Devices by requester id. */
  private readonly devices: Map<number, ControlVdpa> = new Map();
  /** Messages that are to be told: whose, and which vector. The arrays stay as long as they ever were. */
  private waiting = 0;
  private readonly senders: number[] = [];
  private readonly vectors: number[] = [];
  private readonly mtu = 1500;

  /** @param probed what a device of the card's has, as its first function said */
  constructor(card: VendorCard, probed: { readonly queues: number; readonly features: Uint32Array }) {
    this.card = card;
    this.name = card.name;
    this.maxQueues = probed.queues;
    this.features = probed.features;
  }

  /** A message of a virtual function: heard when the card's turn has ended. */
  heard(requesterId: number, vector: number): void {
    this.senders[this.waiting] = requesterId;
    this.vectors[this.waiting++] = vector;
  }

  /** The place of a device among the card's virtual functions. */
  placeOf(device: VdpaDevice): number | undefined {
    return this.made.get(device as ControlVdpa)?.place;
  }

  add(name: string, attributes: VdpaAttributes): ControlVdpa | VdpaRefusal {
    const { card, features, mtu } = this;
    const taken = new Set([...this.made.values()].map(({ place }) => place));
    const place = Array.from({ length: card.functions }, (_, at) => at).find((at) => !taken.has(at));
    if (place === undefined)
      return refusal(VDPA.NO_ROOM, `${this.name} has ${this.made.size} devices and no room for ${name}`);
    if (attributes.mtu !== undefined && attributes.mtu !== mtu)
      return refusal(VDPA.UNSUPPORTED, `mtu is ${attributes.mtu}: ${this.name} has ${mtu} and no other`);
    if (attributes.features !== undefined)
      return refusal(VDPA.UNSUPPORTED, `device_features cannot be chosen: ${this.name} offers what its functions have`);
    const checked = netAttributes(attributes, { mac: card.macOf(place), mtu, pairsMax: 1, features });
    if (isVdpaRefusal(checked)) return checked;
    const control = card.open(place, checked.mac);
    if (isBreakdown(control))
      return refusal(VDPA.NO_ROOM, `${this.name} has no function for ${name}: ${control.message}`);
    const requesterId = card.slot.requesterOf(place);
    const mappings = card.slot.mappingsOf(requesterId);
    const device = new ControlVdpa({
      control,
      deviceId: VIRTIO_ID.NET,
      vendorId: card.vendorId,
      mappings,
      iovaEnd: COMMANDS_IOVA,
      vectorOf: (queue) => card.vectorOf(queue),
      step: (budget) => this.turn(budget),
    });
    this.made.set(device, { place, control, mappings });
    this.devices.set(requesterId, device);
    return device;
  }

  remove(device: VdpaDevice): void {
    const made = this.made.get(device as ControlVdpa);
    if (made === undefined) return;
    this.made.delete(device as ControlVdpa);
    this.devices.delete(this.card.slot.requesterOf(made.place));
    made.control.close();
    // The function's next device has the same domain, whether this one was reset or not.
    made.mappings.clear();
  }

  /** The card works, and what it has to tell is told. */
  private turn(budget: number): number {
    const { card } = this;
    const done = card.slot.card.step(budget) + card.serve();
    return this.waiting === 0 ? done : done + this.tell();
  }

  /** @returns messages that were there; what comes while they are told is for the next turn */
  private tell(): number {
    const { senders, vectors, devices, waiting } = this;
    for (let at = 0; at < waiting; at++) devices.get(senders[at]!)?.interrupt(vectors[at]!);
    const left = this.waiting - waiting;
    for (let at = 0; at < left; at++) {
      senders[at] = senders[waiting + at]!;
      vectors[at] = vectors[waiting + at]!;
    }
    this.waiting = left;
    return waiting;
  }
}
