import type { AddressSpace } from '@ringwire/guest-memory';
import {
  ADMIN_STATUS,
  P_COMPLETION_RING,
  P_SUBMISSION_RING,
  RING_KIND,
  VB_ADDRESS_END,
  VB_NO_VECTOR,
  VB_RING_ALIGN,
  VB_RING_ENTRIES,
  VENDOR_B_COUNT,
} from '@ringwire/nic-spec/vendor-b';
import { CompletionRing, type RingPlace } from './completion-ring.js';
import type { NativePlane } from './native-plane.js';
import { SubmissionRing } from './submission-ring.js';

const { OK, BAD_PARAMETER, BAD_STATE } = ADMIN_STATUS;
const TWO_32 = 0x1_0000_0000;

/** Why a ring's place cannot be, if it cannot: `ADMIN_STATUS`. */
export function placeStatus({ entries, generation, address }: RingPlace): number {
  const { MIN, MAX } = VB_RING_ENTRIES;
  const isPower = entries >= MIN && entries <= MAX && (entries & (entries - 1)) === 0;
  const isPlace = address % VB_RING_ALIGN === 0 && address < VB_ADDRESS_END;
  return isPower && isPlace && generation !== 0 ? OK : BAD_PARAMETER;
}

/** @param parameters of a command @returns its status */
export function createCompletionRing(plane: NativePlane, space: AddressSpace, parameters: DataView): number {
  const at = P_COMPLETION_RING;
  const place = placeOf(parameters);
  const vector = parameters.getUint16(at.vector, true);
  const hasVector = vector < VENDOR_B_COUNT.VECTORS || vector === VB_NO_VECTOR;
  if (place.id >= plane.completionRings.length || !hasVector || placeStatus(place) !== OK) return BAD_PARAMETER;
  if (plane.completionRings[place.id] !== undefined) return BAD_STATE;
  plane.completionRings[place.id] = new CompletionRing(space, place, vector);
  return OK;
}

export function createSubmissionRing(plane: NativePlane, space: AddressSpace, parameters: DataView): number {
  const at = P_SUBMISSION_RING;
  const place = placeOf(parameters);
  const kind = parameters.getUint16(at.kind, true);
  const isKind = kind === RING_KIND.RECEIVE || kind === RING_KIND.TRANSMIT;
  if (place.id >= plane.submissionRings.length || !isKind || placeStatus(place) !== OK) return BAD_PARAMETER;
  const completions = plane.completionRings[parameters.getUint16(at.completionRing, true)];
  if (completions === undefined) return BAD_PARAMETER;
  if (plane.submissionRings[place.id] !== undefined || plane.ringOf(kind) !== undefined) return BAD_STATE;
  plane.submissionRings[place.id] = new SubmissionRing(space, place, kind, completions);
  return OK;
}

/** What both commands have in the same places. */
function placeOf(parameters: DataView): RingPlace {
  const at = P_COMPLETION_RING;
  return {
    id: parameters.getUint16(at.id, true),
    entries: parameters.getUint16(at.entries, true),
    generation: parameters.getUint16(at.generation, true),
    address: parameters.getUint32(at.address + 4, true) * TWO_32 + parameters.getUint32(at.address, true),
  };
}
