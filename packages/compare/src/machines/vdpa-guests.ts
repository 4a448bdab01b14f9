import { VDPA, type VdpaDevice, VdpaTransport } from '@ringwire/vdpa';
import type { Machine, MovingMachine, Rings } from '../architecture.js';
import { milliseconds } from '../clock.js';
import { type Ledger, trapped } from '../ledger.js';
import type { Lab } from './lab.js';
import type { Network } from './network.js';
import { type DriverKind, virtioGuest } from './virtio-guest.js';

/** The guest that moves. */
const MOVING = 1;

/** Devices that two guests have, and who works for them. */
export interface VdpaPlaces {
  readonly devices: readonly VdpaDevice[];
  /** The devices are software of the host: so are their doorbells. */
  readonly isHosted: boolean;
  step(): boolean;
}

/** A transport whose doorbells are counted. */
class CountedTransport extends VdpaTransport {
  private readonly ledger: Ledger;
  private readonly isTrapped: boolean;

  constructor(device: VdpaDevice, ledger: Ledger, isTrapped: boolean, interrupt: (vector?: number) => void) {
    super(device, interrupt);
    this.ledger = ledger;
    this.isTrapped = isTrapped;
  }

  override notify(index: number, data: number): void {
    this.ledger.kicks++;
    const begun = this.isTrapped ? milliseconds() : 0;
    super.notify(index, data);
    if (this.isTrapped) trapped(this.ledger, begun);
  }
}

/** Two guests with virtio drivers in front of vDPA devices, one of which can be told to move. */
export interface VdpaGuests extends Machine, Pick<MovingMachine, 'notify' | 'places'> {
  /** Behind the moving guest's driver is another device from now on. */
  moveTo(device: VdpaDevice): void;
}

/** Bring both guests up. */
export function vdpaGuests(lab: Lab, rings: Rings, kind: DriverKind, ledger: Ledger, places: VdpaPlaces): VdpaGuests {
  const { devices, isHosted, step } = places;
  const transports: CountedTransport[] = [];
  let pinnedBytes = 0;
  const [from, to] = [0, MOVING].map((guest) =>
    virtioGuest(lab, guest, rings, kind, ledger, (interrupt) => {
      const device = devices[guest]!;
      // All of the guest's RAM, as vhost-vdpa maps it.
      if (device.map(0, lab.mapping(guest)) !== VDPA.OK) throw new Error('the guest is not mapped');
      if (!isHosted) for (const { bytes } of device.mappings(0)) pinnedBytes += bytes;
      const transport = new CountedTransport(device, ledger, isHosted, (vector = 0) => {
        if (isHosted) ledger.injections++;
        interrupt(vector);
      });
      transports.push(transport);
      return transport;
    }),
  );
  const nothing = (): boolean => false;
  const moving = transports[MOVING]!;
  return {
    from: from!,
    to: to!,
    ledger,
    pinnedBytes,
    host: isHosted ? step : nothing,
    card: isHosted ? nothing : step,
    places: () => moving.places,
    notify: (queue) => moving.interruptFor(queue),
    moveTo: (device) => moving.moveTo(device),
  };
}

/** The same with a target. */
export function movingGuests(
  lab: Lab,
  rings: Rings,
  kind: DriverKind,
  ledger: Ledger,
  network: Network,
  places: VdpaPlaces & { readonly target: VdpaDevice },
): MovingMachine {
  const guests = vdpaGuests(lab, rings, kind, ledger, places);
  const { target } = places;
  const ram = lab.movingRam(MOVING);
  return {
    ...guests,
    source: places.devices[MOVING]!,
    target,
    ram,
    land: () => {
      ram.land();
      guests.moveTo(target);
      network.follow();
    },
  };
}
