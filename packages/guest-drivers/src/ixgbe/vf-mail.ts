import { MESSAGE, MESSAGE_WORD } from '@ringwire/nic-spec/ixgbe';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import type { IxgbeCounters } from './ixgbe-counters.js';
import type { VfFunction } from './vf-function.js';

/**
 * Look at what the physical function says without being asked, and whether it is still there.
 * @returns NEEDS_RESET when the virtual one is to begin anew, REMOVED, MAILBOX_UNANSWERED
 */
export function readMail(vf: VfFunction, counters: IxgbeCounters): Breakdown | undefined {
  const lost = lostFunction(vf);
  if (lost !== undefined) return lost;
  if (vf.mailbox.takesReset()) {
    counters.pfResets++;
    return breakdown(BREAK.NEEDS_RESET, 'the physical function was reset (82599 datasheet §4.2.2.3, RSTI)');
  }
  const word = vf.mailbox.receive();
  if (word === undefined) return undefined;
  const { CTS, TYPE_MASK, NACK } = MESSAGE_WORD;
  const isAboutUs = (word & TYPE_MASK) === MESSAGE.PF_CONTROL || (word & NACK) !== 0;
  if (!isAboutUs || (word & CTS) !== 0) return undefined;
  counters.pfResets++;
  return breakdown(BREAK.NEEDS_RESET, 'the physical function took back that requests may be sent (CTS)');
}

/** What earlier requests found out: that the function is to begin anew, or that nobody answers. */
export function lostFunction(vf: VfFunction): Breakdown | undefined {
  if (vf.isGone) return breakdown(BREAK.REMOVED, 'VFLINKS reads all ones: the function is not there any more');
  if (vf.requests.wantsReset) return breakdown(BREAK.NEEDS_RESET, 'the physical function refuses all but VF_RESET');
  if (vf.requests.isSilent)
    return breakdown(BREAK.MAILBOX_UNANSWERED, 'the physical function did not answer a request');
  return undefined;
}
