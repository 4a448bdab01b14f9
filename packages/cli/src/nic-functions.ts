import { type HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import { DELIVERED } from '@ringwire/net-backend';
import { isVdpaRefusal, type VdpaDevice } from '@ringwire/vdpa';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import type { FrameTrace } from '@ringwire/virtio-device';
import { UnusableInput } from './terminal.js';

/** Vendors on whose cards a virtual function can be; without one it is a virtio device of this program's own. */
export const FUNCTION_VENDORS = ['82599', 'vendor-b'] as const;
export type FunctionVendor = (typeof FUNCTION_VENDORS)[number];

/** Of a function on a vendor's card: it has one pair of queues, and its cards know one size of frames. */
export const VENDOR_FUNCTION = { queues: 1, queueSize: 256, mtu: 1500 } as const;

/** Host memory that a vendor's card works in: page tables, buffers of its own driver, and room for frames. */
export const VENDOR_CARD_BYTES = 0x80_0000;

/** The physical function's own cable. */
const NOWHERE: NetBackend = { offloads: 0, attach: () => {}, receive: () => DELIVERED.DROPPED, pump: () => 0 };

/** A virtual function on a vendor's card. */
export interface VendorFunction {
  /** The port's name. */
  readonly socket: string;
  readonly vendor: FunctionVendor;
  readonly mac: Uint8Array;
  /** Whether a frame that finds no buffer waits. */
  readonly hold: boolean;
  /** What it is plugged into. */
  readonly backend: NetBackend;
  readonly trace?: FrameTrace;
}

/**
 * Put a card of a vendor's into a slot of its own, and take its virtual function into use as a vDPA device. Whoever is behind the
 * socket has the control queue.
 * @param at host offset of {@link VENDOR_CARD_BYTES}
 * @throws UnusableInput for an address that the card does not take
 */
export function openVendorFunction(
  memory: HostMemory,
  at: number,
  { socket, vendor, mac, hold, backend, trace }: VendorFunction,
  now: () => number,
): VdpaDevice {
  const host = { memory, pages: new PageAllocator(at, VENDOR_CARD_BYTES), now };
  const net = { externalControl: true, holdWhenFull: hold, ...(trace === undefined ? {} : { trace }) };
  const make = vendor === '82599' ? ixgbeParent : vendorBParent;
  const parent = make(host, {
    ...{ name: vendor, functions: 1, net },
    backend: (place) => (place < 0 ? NOWHERE : backend),
  });
  const device = parent.add(socket, { mac });
  if (isVdpaRefusal(device)) throw new UnusableInput(`${socket}: ${device.message}`);
  return device;
}
