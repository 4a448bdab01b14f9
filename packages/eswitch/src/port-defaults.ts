import type { PortKind } from './eswitch-port.js';
import type { PortSettings } from './port-settings.js';

/** Longest frame of a card's wire: jumbo frames as network cards take them. */
const WIRE_BYTES = 9728;
/** 1500 bytes of payload, an Ethernet header and a tag. */
const FRAME_BYTES = 1518;

/**
 * What a port is before the host said anything: a virtual function is trusted with nothing, and may send nothing until
 * it has an address; the physical function is the host's own.
 */
export function defaultSettings(kind: PortKind): PortSettings {
  const isVirtual = kind === 'virtual';
  return {
    mac: new Uint8Array(6),
    unicast: [],
    multicast: [],
    multicastHash: undefined,
    promiscuous: false,
    allMulticast: false,
    broadcast: kind !== 'representor',
    vlans: 'all',
    untagged: true,
    longestFrame: kind === 'virtual' || kind === 'physical' ? FRAME_BYTES : WIRE_BYTES,
    allowedVlans: 'all',
    portVlan: undefined,
    trusted: !isVirtual,
    checkMac: isVirtual,
    checkVlan: isVirtual,
    hairpin: false,
    maxTxRate: 0,
    minTxRate: 0,
    link: 'auto',
  };
}
