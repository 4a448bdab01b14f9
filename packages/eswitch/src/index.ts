export { dropName, ESWITCH_DROP, type EswitchDrop, type EswitchPortCounters } from './drop-reason.js';
export { ESWITCH_AREA_BYTES, Eswitch } from './eswitch.js';
export type { EswitchOptions } from './eswitch-options.js';
export type { EswitchPort, PortKind, PortRefusal } from './eswitch-port.js';
export type { LinkSetting, MulticastHash, PortSettings, PortVlan, PortWishes } from './port-settings.js';
export { OPEN_GATE, type TransmitGate } from './transmit-gate.js';
