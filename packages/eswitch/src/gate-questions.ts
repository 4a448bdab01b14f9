import { DELIVERED, type Delivered, type FrameRun } from '@ringwire/net-backend';
import type { Decision } from './decision.js';
import type { FrameHead } from './frame-head.js';
import { GROUP } from './mac-address.js';
import type { Passage } from './passage.js';
import type { SwitchPort } from './switch-port.js';
import { FRAME_KIND, type FrameKind, OPEN_GATE, type TransmitGate } from './transmit-gate.js';

const WIRE = 0;

/** Whether what a port sends passes the gate. */
export function isGated({ kind }: SwitchPort): boolean {
  return kind === 'physical' || kind === 'virtual';
}

export function frameKind({ toLow, toHigh }: FrameHead, { isUnknown }: Decision): FrameKind {
  if ((toLow & GROUP) === 0) return isUnknown ? FRAME_KIND.UNKNOWN : FRAME_KIND.UNICAST;
  return toLow === -1 && toHigh === 0xffff ? FRAME_KIND.BROADCAST : FRAME_KIND.MULTICAST;
}

/** What the gate says of a frame that has somebody to go to. */
export function askFor(gate: TransmitGate, from: SwitchPort, { head, decision, frames, bytes }: Passage): Delivered {
  if (!isGated(from)) return DELIVERED.ACCEPTED;
  return gate.admit(from.number, frames, bytes, decision.has(WIRE), frameKind(head, decision));
}

/**
 * Ask the gate for each frame of a part, and cut it behind those that may go.
 * @returns what the gate says of the frame behind them; ACCEPTED when all may go
 */
export function askForPart(gate: TransmitGate, from: SwitchPort, part: FrameRun, toWire: boolean): Delivered {
  if (gate === OPEN_GATE || !isGated(from)) return DELIVERED.ACCEPTED;
  const { first, count, skip } = part;
  const { length } = part.ranges;
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    const frameBytes = length[first + i]! - skip;
    const admitted = gate.admit(from.number, 1, frameBytes, toWire, from.knownKind);
    if (admitted !== DELIVERED.ACCEPTED) {
      part.count = i;
      part.bytes = bytes;
      return admitted;
    }
    bytes += frameBytes;
  }
  return DELIVERED.ACCEPTED;
}

/** What is set for a port, and whether anybody is there. */
export function tellGate(gate: TransmitGate, port: SwitchPort): void {
  if (!isGated(port)) return;
  const { maxTxRate, minTxRate } = port.settings;
  gate.setRates(port.number, maxTxRate, minTxRate);
  if (port.device === undefined) gate.forget(port.number);
}
