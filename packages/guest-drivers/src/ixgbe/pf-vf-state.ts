import { MAILBOX_API } from '@ringwire/nic-spec/ixgbe';
import type { AcceptMode } from './vf-wishes.js';

/** Whether a virtual function's link follows the wire's, or is down whatever that is. */
export type VfLink = 'auto' | 'disable';

/** What the host sets for a virtual function. It holds until it is set otherwise, whatever the function does. */
export interface VfSettings {
  /** The function's address, which its driver may not change unless it is trusted; undefined: the driver's choice. */
  readonly mac: Uint8Array | undefined;
  /** A VLAN that the function is in without knowing it, 1 to 4094; 0: none. */
  readonly vlan: number;
  /** Priority of that tag, 0 to 7. */
  readonly qos: number;
  /** Frames from addresses and VLANs that are not the function's are dropped. */
  readonly spoofchk: boolean;
  /** The driver may change an address of the host's, add others, and have every frame. */
  readonly trust: boolean;
  /** Mbit/s at most, 11 up to the link's speed; 0: no limit. */
  readonly maxTxRate: number;
  readonly linkState: VfLink;
  /** The driver may know the key and the table that spread frames over all functions' queues. */
  readonly rssQuery: boolean;
}

/** Settings of a function that nobody has said anything of. */
export const DEFAULT_SETTINGS: VfSettings = {
  mac: undefined,
  vlan: 0,
  qos: 0,
  spoofchk: true,
  trust: false,
  maxTxRate: 0,
  linkState: 'auto',
  rssQuery: false,
};

/** What is known of a virtual function. */
export interface VfInfo extends VfSettings {
  /** The address that frames come to it by; undefined while its driver has none. */
  readonly activeMac: Uint8Array | undefined;
  /** Its driver has reset, and may ask for things. */
  readonly isClearToSend: boolean;
  /** Shut off because of what was in one of its queues. */
  readonly isShutOff: boolean;
  readonly mode: AcceptMode;
  /** A `MAILBOX_API` value. */
  readonly api: number;
}

/** What the driver keeps of a virtual function: what the host set, and what its driver has got since its last reset. */
export class VfState {
  readonly vf: number;
  settings: VfSettings = DEFAULT_SETTINGS;
  /** Its driver has reset, and may ask for things. */
  isClearToSend = false;
  /** A `MAILBOX_API` value. */
  api: number = MAILBOX_API.V1_0;
  /** The address that frames come to; undefined while there is none. */
  mac: Uint8Array | undefined = undefined;
  /** Further addresses. */
  unicast: Uint8Array[] = [];
  mode: AcceptMode = 'none';
  /** Of the groups whose frames it gets. */
  hashes: readonly number[] = [];
  /** One of its queues was stopped because of what was in it: it is shut off until it resets. */
  isShutOff = false;
  /** Longest frame with its check sequence that its driver said it takes. */
  longestFrame = 0;

  constructor(vf: number) {
    this.vf = vf;
  }

  /** For the host, as it is now. */
  info(): VfInfo {
    const { settings, mac, isClearToSend, isShutOff, mode, api } = this;
    return { ...settings, activeMac: mac?.slice(), isClearToSend, isShutOff, mode, api };
  }

  /** The function was reset: what its driver got is gone. */
  forget(): void {
    this.isClearToSend = false;
    this.api = MAILBOX_API.V1_0;
    this.mac = undefined;
    this.unicast = [];
    this.mode = 'none';
    this.hashes = [];
    this.isShutOff = false;
    this.longestFrame = 0;
  }
}
