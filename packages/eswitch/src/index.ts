export { dropName, ESWITCH_DROP, type EswitchDrop, type EswitchPortCounters } from './drop-reason.js';
export { type CountingPort, ESWITCH_AREA_BYTES, Eswitch } from './eswitch.js';
export type { EswitchOptions } from './eswitch-options.js';
export type { EswitchPort, PortKind, PortRefusal } from './eswitch-port.js';
export { type ExplainedPort, type Explanation, type ExplanationStep, explanationText } from './explanation.js';
export type { FlowAction, FlowMatch, FlowRule, IpPrefix, MacMatch, Mirror } from './flow-rule.js';
export type { FlowCounters } from './flow-table.js';
export type { LinkSetting, MulticastHash, PortSettings, PortVlan, PortWishes } from './port-settings.js';
export { OPEN_GATE, type TransmitGate } from './transmit-gate.js';
