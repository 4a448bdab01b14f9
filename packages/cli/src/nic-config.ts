import type { FlowRule, LinkSetting, Mirror, PortSettings, PortVlan } from '@ringwire/eswitch';

import type { WireConfig } from './nic-wire.js';

/** What the host sets for a virtual function, in the words of `ip link set … vf`. */
export interface VfSettings {
  readonly mac?: Uint8Array | undefined;
  readonly vlan?: PortVlan | undefined;
  /** VLANs that its own tags may have; any unless given. */
  readonly trunk?: readonly number[] | undefined;
  readonly spoofchk?: boolean | undefined;
  readonly trust?: boolean | undefined;
  readonly promiscuous?: boolean | undefined;
  /** Mbit/s; 0: no limit. */
  readonly maxTxRate?: number | undefined;
  readonly minTxRate?: number | undefined;
  readonly link?: LinkSetting | undefined;
}

/** The host's own function. */
interface PfSettings {
  readonly mac: Uint8Array | undefined;
  readonly promiscuous: boolean | undefined;
  /** A guest of the host's is behind it: it has a socket. */
  readonly isServed: boolean;
}

/** A card with SR-IOV: what is between its functions and its wire. */
export interface NicConfig {
  readonly wire: WireConfig;
  readonly mode: 'veb' | 'vepa';
  /** Functions have a link while nothing is plugged into the wire. */
  readonly floating: boolean;
  readonly learning: boolean;
  readonly pf: PfSettings;
  /** By number of the function. */
  readonly vfs: readonly VfSettings[];
  readonly rules: readonly FlowRule[];
  readonly mirrors: readonly Mirror[];
}

export const NIC_DEFAULTS = { mode: 'veb', floating: true, learning: false } as const;

/** What of a port's settings the host's words come to; what they do not say is left out. */
export function portSettings(vf: VfSettings): Partial<PortSettings> {
  const { mac, vlan, trunk, spoofchk, trust, promiscuous, maxTxRate, minTxRate, link } = vf;
  return {
    ...(mac === undefined ? {} : { mac }),
    ...('vlan' in vf ? { portVlan: vlan } : {}),
    ...(trunk === undefined ? {} : { allowedVlans: new Set(trunk) }),
    ...(spoofchk === undefined ? {} : { checkMac: spoofchk, checkVlan: spoofchk }),
    ...(trust === undefined ? {} : { trusted: trust }),
    ...(promiscuous === undefined ? {} : { promiscuous }),
    ...(maxTxRate === undefined ? {} : { maxTxRate }),
    ...(minTxRate === undefined ? {} : { minTxRate }),
    ...(link === undefined ? {} : { link }),
  };
}
