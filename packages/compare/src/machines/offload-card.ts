import { type AdminClient, type AdminDriver, openAdminDriver, openPciTransport } from '@ringwire/guest-drivers';
import {
  AdministeredFunctions,
  SriovNic,
  VIRTIO_NET_VF_ID,
  virtioFunction,
  virtioPhysical,
  virtioVfBars,
} from '@ringwire/sriov-nic';
import { CardSlot, messagesFor, PHYSICAL_ID, type SpaceWrap } from '@ringwire/vdpa-vendors';
import type { NetDevice } from '@ringwire/virtio-device';
import { Lab } from './lab.js';
import { opened } from './opened.js';

/** Number of the physical function's station. */
const PHYSICAL_MAC = 0xf0;
const ROUTING = { first: 0x80, stride: 1 };
/** Bytes of one administration command and its answer: the parts of a device of one pair are far below. */
const COMMAND_BYTES = 0x4000;

/** What a card of full offload gets from its machine. */
export interface OffloadCardOptions {
  /** Places of the network that its virtual functions have. */
  readonly places: readonly number[];
  readonly port: (place: number) => NetDevice['backend'];
  /** An MSI-X message of a virtual function, by its place on the card. */
  readonly message: (at: number, vector: number) => void;
  readonly wrap?: SpaceWrap;
}

/** A card whose virtual functions are virtio network devices, and whose physical one administers them (virtio 1.4 §2.12). */
export class OffloadCard {
  readonly slot: CardSlot;
  /** The host's driver of the physical function. */
  private readonly owner: AdminDriver;
  /** The card sent a message to the physical function's driver. */
  private isCalled = false;

  constructor(lab: Lab, options: OffloadCardOptions) {
    const { places, port, message, wrap } = options;
    const administered = new AdministeredFunctions();
    const function_ = (place: number, mac: number) => ({
      ...{ memory: lab.memory, scratch: lab.scratch(), administered },
      ...{ backend: port(place), mac: Lab.mac(mac) },
    });
    this.slot = new CardSlot(
      lab.host,
      (plugs) =>
        new SriovNic({
          ...plugs,
          totalVfs: places.length,
          vfDeviceId: VIRTIO_NET_VF_ID,
          routing: ROUTING,
          vfBars: virtioVfBars(),
          physical: (place) => virtioPhysical(place, function_(-1, PHYSICAL_MAC)),
          virtual: (place) => {
            const at = places[place.seat.index]!;
            return virtioFunction(place, function_(at, at));
          },
        }),
      (requesterId, vector) => {
        if (requesterId === PHYSICAL_ID) this.isCalled = true;
        else message(requesterId - PHYSICAL_ID - ROUTING.first, vector);
      },
      wrap,
    );
    this.owner = opened(
      openAdminDriver({
        transport: opened(openPciTransport(this.slot.physicalAccess)),
        dma: this.slot.dmaOf(PHYSICAL_ID),
        now: () => 0,
        messages: messagesFor(2),
        functions: () => places.length,
        commandBytes: COMMAND_BYTES,
      }),
    );
    this.slot.enable(places.length);
  }

  /** Commands to the physical function. */
  get client(): AdminClient {
    return this.owner.commands!;
  }

  /** The card's turn, and that of its owner. @returns frames and commands that were handled */
  step(budget: number): number {
    const done = this.slot.card.step(budget);
    if (!this.isCalled) return done;
    this.isCalled = false;
    this.owner.interrupt();
    return done + 1;
  }
}
