export type { ChangeWatcher, SwitchChange, SwitchState } from './change-watcher.js';
export { unaccountedFrames } from './conservation.js';
export { dropName, dropText, ESWITCH_DROP, type EswitchDrop, type EswitchPortCounters } from './drop-reason.js';
export type { DropWatcher } from './drop-watcher.js';
export { type CountingPort, ESWITCH_AREA_BYTES, Eswitch } from './eswitch.js';
export type { EswitchOptions } from './eswitch-options.js';
export type { EswitchPort, PortKind, PortRefusal } from './eswitch-port.js';
export { type ExplainedPort, type Explanation, type ExplanationStep, explanationText } from './explanation.js';
export type { FlowAction, FlowMatch, FlowRule, IpPrefix, MacMatch, Mirror } from './flow-rule.js';
export type { FlowCounters } from './flow-table.js';
export type { GateCounters } from './gate-port.js';
export type { LinkSetting, MulticastHash, PortSettings, PortVlan, PortWishes } from './port-settings.js';
export type { RateNodeSettings } from './rate-node.js';
export type { StormLimits } from './storm-limits.js';
export { type ArbiterOptions, type RateNodeView, TransmitArbiter } from './transmit-arbiter.js';
export { FRAME_KIND, type FrameKind, OPEN_GATE, type TransmitGate } from './transmit-gate.js';
export { runUntil, type Stepped, VirtualClock } from './virtual-clock.js';
export { WIRE, wireBytes } from './wire/wire-bytes.js';
export { joinWires } from './wire/wire-cable.js';
export { WireCapture, type WireCaptureOptions } from './wire/wire-capture.js';
export { unaccountedWireFrames, WIRE_DROP_TEXT, type WireCounters, type WireDrops } from './wire/wire-counters.js';
export {
  type CardOfWire,
  WIRE_AREA_BYTES,
  type WireDropWatcher,
  type WirePortOptions,
  type WireTap,
} from './wire/wire-options.js';
export { WirePort } from './wire/wire-port.js';
export type { WireRoom } from './wire/wire-room.js';
export { type Duplex, PLAIN_WIRE, type WireControl, type WireLink, type WireSettings } from './wire/wire-settings.js';
