import { type DeviceModel, NetDevice } from '@ringwire/virtio-device';
import type { Outcome } from './outcome.js';

/** A u64 whose first bytes are an address. */
const MAC_BYTES = 6;

/** NET_SET_MTU: what the front-end shows its driver. */
export function setMtu(model: DeviceModel | undefined, payload: DataView): Outcome {
  const mtu = payload.getBigUint64(0, true);
  const isSet = model instanceof NetDevice && mtu <= 0xffffn && model.setMtu(Number(mtu));
  return isSet ? undefined : `the device has no mtu of ${mtu}`;
}

/** SEND_RARP: the front-end's guest is here now, and can't announce itself. What the network doesn't take is lost. */
export function sendRarp(model: DeviceModel | undefined, payload: DataView): Outcome {
  if (model instanceof NetDevice) model.sendRarp(new Uint8Array(payload.buffer, 0, MAC_BYTES));
  return undefined;
}
