import { type Breakdown, isBreakdown } from '@ringwire/guest-drivers';
import { type IxgbePf, ixgbeVdpaVector, openIxgbePf, openIxgbeVdpaControl } from '@ringwire/guest-drivers/ixgbe';
import { IXGBE_SCRATCH_BYTES, IxgbeCard, ixgbePhysical, ixgbeSriov, ixgbeVirtual } from '@ringwire/ixgbe';
import { INTEL_VENDOR_ID, IXGBE_MSIX } from '@ringwire/nic-spec/ixgbe';
import { SriovNic } from '@ringwire/sriov-nic';
import type { VdpaHost, VendorControl } from '@ringwire/vdpa';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import { CardSlot, messagesFor, PHYSICAL_ID } from './card-slot.js';
import { FunctionParent } from './function-parent.js';
import { type VendorParentOptions, wholeOptions } from './parent-options.js';
import { probeCard } from './probe-card.js';

const SCRATCH_PITCH: number = Math.ceil(IXGBE_SCRATCH_BYTES / 64) * 64;
/** Steps of the card, and turns of the physical function's driver, until a message is answered. */
const TRIES = 200;

/**
 * The add-on of the 82599: its card in a slot of its own, the physical function's driver, and virtual functions that have it give
 * them their address and leave to send, and then begin with virtio rings. Everything is registers and mailbox.
 */
export function ixgbeParent(host: VdpaHost, options: VendorParentOptions): FunctionParent {
  const { name, functions, net, backend, wrap } = wholeOptions(options);
  const scratch = host.pages.allocate((functions + 1) * (SCRATCH_PITCH + NET_SCRATCH_BYTES));
  const virtioScratch = scratch + (functions + 1) * SCRATCH_PITCH;
  const now = host.now === undefined ? {} : { now: host.now };
  const card = new IxgbeCard({ memory: host.memory, mac: macOf(-1), ...now });
  const optionsOf = (place: number) => ({
    card,
    scratch: scratch + (place + 1) * SCRATCH_PITCH,
    port: { backend: backend(place) },
    virtio: { scratch: virtioScratch + (place + 1) * NET_SCRATCH_BYTES, net },
  });
  let physical: IxgbePf | undefined;
  /** The physical function's driver may have something to do. */
  let isDue = true;
  const slot = new CardSlot(
    host,
    (plugs) =>
      new SriovNic({
        ...plugs,
        ...ixgbeSriov(functions),
        physical: (place) => ixgbePhysical(place, optionsOf(-1)),
        virtual: (place) => ixgbeVirtual(place, optionsOf(place.seat.index)),
      }),
    (requesterId, vector) => {
      if (requesterId !== PHYSICAL_ID) parent?.heard(requesterId, vector);
      else {
        isDue = true;
        physical?.interrupt(vector);
      }
    },
    wrap,
  );
  const messages = messagesFor(IXGBE_MSIX.VF_VECTORS);
  const serve = (): number => {
    if (!isDue) return 0;
    isDue = physical?.needsPoll === true;
    if (isDue) physical?.poll();
    return isDue ? 1 : 0;
  };
  physical = orThrow(
    openIxgbePf({
      access: slot.physicalAccess,
      dma: slot.dmaOf(PHYSICAL_ID),
      messages,
      now: () => (host.now?.() ?? 0) / 1000,
      vfs: functions,
      queueSize: 64,
      copyPages: 17,
      patience: { tries: TRIES, pause: () => slot.card.step(0) },
      events: { frame: () => {} },
    }),
    name,
  );
  slot.enable(functions);
  const patience = {
    tries: TRIES,
    pause: () => {
      slot.card.step(0);
      serve();
    },
  };
  const open = (place: number, mac: Uint8Array): VendorControl | Breakdown => {
    physical.setVf(place, { mac });
    isDue = true;
    return openIxgbeVdpaControl({ access: slot.accessOf(place), messages, patience });
  };
  const vendor = {
    name,
    vendorId: INTEL_VENDOR_ID,
    functions,
    slot,
    macOf,
    open,
    vectorOf: ixgbeVdpaVector,
    serve,
  };
  const parent = new FunctionParent(vendor, probeCard(vendor));
  return parent;
}

function orThrow<T extends object>(outcome: T, name: string): Exclude<T, Breakdown> {
  if (isBreakdown(outcome)) throw new VirtioError('physical', outcome.message, 'a card that comes up', name);
  return outcome as Exclude<T, Breakdown>;
}

const macOf = (place: number): Uint8Array => Uint8Array.of(0, 0x1b, 0x21, 0, 0, place + 1);
