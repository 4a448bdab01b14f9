import type { PortSettings, WireControl } from '@ringwire/eswitch';
import type { NetBackend } from '@ringwire/net-backend';
import { HEADER_BYTES } from '@ringwire/net-offload';
import type { NetDeviceOptions } from '@ringwire/virtio-device';
import type { IxgbeCard } from './card.js';
import { TX_AREA_BYTES } from './tx-sender.js';

/** Bytes of host memory that a function works in. */
export const IXGBE_SCRATCH_BYTES: number = TX_AREA_BYTES + HEADER_BYTES;

/** The function's port of the card's switch: an `EswitchPort`, or any backend where nobody checks or filters. */
export interface IxgbePort {
  readonly backend: NetBackend;
  /** Whether frames pass; true where it is left out. */
  readonly isUp?: boolean;
  /** Called when {@link isUp} changed. */
  onLink?: ((isUp: boolean) => void) | undefined;
  /** Takes what the physical function's registers say for this port. */
  configure?(changes: Partial<PortSettings>): void;
  forgetWishes?(): void;
  /** Of the physical function's port: its wire, and whether functions reach one another in the card. */
  readonly wire?: WireControl | undefined;
  localSwitching?: boolean;
  /** What it dropped, by `ESWITCH_DROP`. */
  readonly counters?: { readonly drops: ArrayLike<number> };
}

/** What a virtio data plane is made of. */
export interface VirtioOption {
  /** Host memory of its own: `NET_SCRATCH_BYTES` of it. */
  readonly scratch: number;
  /** Pairs of queues, 1 to 4 with a control queue behind them; 1 unless given. */
  readonly pairs?: number;
  readonly net?: Partial<NetDeviceOptions>;
  /** There is work for the function's `step`. Only to be noted. */
  readonly wake?: () => void;
}

/** Where one function of a card belongs, and what it is plugged into. */
export interface IxgbeFunctionOptions {
  readonly card: IxgbeCard;
  /** Host memory of the function's own: `IXGBE_SCRATCH_BYTES` of it. */
  readonly scratch: number;
  readonly port: IxgbePort;
  /** What a virtual function may be as well, whose driver asks for it: a data plane of virtio's. */
  readonly virtio?: VirtioOption;
  /** Intel's, and 3, unless given. */
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
}
