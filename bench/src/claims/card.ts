// The card that claims are measured on, for programs that put its guests elsewhere.
export { CardMachine, cardDma, newCardMemory, stationMac } from './card-machine.js';
export type { FunctionKind } from './function-kind.js';
export { ixgbeStation } from './kernel-station.js';
export { WireEnd } from './populated-card.js';
