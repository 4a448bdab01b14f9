import { isBreakdown } from '@ringwire/guest-drivers';
import { openVdpaControl, openVendorBDriver } from '@ringwire/guest-drivers/vendor-b';
import { VENDOR_B_COUNT, VENDOR_B_ID } from '@ringwire/nic-spec/vendor-b';
import { SriovNic } from '@ringwire/sriov-nic';
import type { VdpaHost } from '@ringwire/vdpa';
import { VendorBCard, vendorBVfBars } from '@ringwire/vendor-b';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import { VirtioError } from '@ringwire/virtio-spec';
import { CardSlot, messagesFor, PHYSICAL_ID } from './card-slot.js';
import { FunctionParent } from './function-parent.js';
import { type VendorParentOptions, wholeOptions } from './parent-options.js';
import { probeCard } from './probe-card.js';

const ROUTING = { first: 0x80, stride: 1 };
/** Steps of the card until a command is answered, many times over. */
const TRIES = 100;

/** The add-on of vendor B: its card in a slot of its own, virtual functions in the virtio mode, commands in memory. */
export function vendorBParent(host: VdpaHost, options: VendorParentOptions): FunctionParent {
  const { name, functions, net, backend, wrap } = wholeOptions(options);
  const scratch = host.pages.allocate((functions + 1) * NET_SCRATCH_BYTES);
  const now = host.now === undefined ? {} : { now: host.now };
  const card = new VendorBCard({
    totalVfs: functions,
    functionOptions: (index) => ({
      memory: host.memory,
      scratch: scratch + (index + 1) * NET_SCRATCH_BYTES,
      backend: backend(index),
      mac: macOf(index),
      net,
      ...now,
    }),
  });
  const slot = new CardSlot(
    host,
    (plugs) =>
      new SriovNic({
        ...plugs,
        totalVfs: functions,
        vfDeviceId: VENDOR_B_ID.VF,
        routing: ROUTING,
        vfBars: vendorBVfBars(),
        physical: (place) => card.physical(place),
        virtual: (place) => card.virtual(place),
      }),
    (requesterId, vector) => parent?.heard(requesterId, vector),
    wrap,
  );
  const patience = { tries: TRIES, pause: () => slot.card.step(0) };
  const messages = messagesFor(VENDOR_B_COUNT.VECTORS);
  const physical = openVendorBDriver({
    access: slot.physicalAccess,
    dma: slot.dmaOf(PHYSICAL_ID),
    messages: [messages[0]!, messages[1]!],
    patience,
    entries: 16,
    events: { frame: () => {} },
  });
  if (isBreakdown(physical)) throw new VirtioError('physical', physical.message, 'a card that comes up', name);
  slot.enable(functions);
  // A driver that came up has them for as long as nobody closes it.
  const open = (place: number, mac: Uint8Array) =>
    physical.commands!.setVirtualMac(place, mac) ??
    openVdpaControl({
      access: slot.accessOf(place),
      dma: slot.dmaOf(slot.requesterOf(place)),
      messages,
      patience,
    });
  const vendor = {
    name,
    vendorId: VENDOR_B_ID.VENDOR,
    functions,
    slot,
    macOf,
    open,
    vectorOf: (queue: number) => queue + 1,
    serve: () => 0,
  };
  const parent = new FunctionParent(vendor, probeCard(vendor));
  return parent;
}

const macOf = (place: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0xb0, place + 1);
