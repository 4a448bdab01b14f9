export type { EswitchPort, PortKind, PortRefusal } from './eswitch-port.js';
export type { LinkSetting, MulticastHash, PortSettings, PortVlan, PortWishes } from './port-settings.js';
export { OPEN_GATE, type TransmitGate } from './transmit-gate.js';
