import {
  RECEIVE_MODE,
  RING_KIND,
  SAVED_RING,
  SAVED_STATE,
  VB_MAGIC,
  VB_MODE,
  VB_NO_VECTOR,
  VB_VERSION,
  VENDOR_B_COUNT,
} from '@ringwire/nic-spec/vendor-b';
import { CompletionRing, type RingPlace } from './completion-ring.js';
import { placeStatus } from './native-commands.js';
import type { NativePlane } from './native-plane.js';
import { isStationMac, type Station } from './station.js';
import { SubmissionRing } from './submission-ring.js';
import type { VendorBFunction } from './vendor-b-function.js';

const TWO_32 = 0x1_0000_0000;
const { COMPLETION_RINGS, SUBMISSION_RINGS } = VENDOR_B_COUNT;
const MAC_BYTES = 6;
const MODES: number = RECEIVE_MODE.PROMISCUOUS | RECEIVE_MODE.ALL_MULTICAST | RECEIVE_MODE.BROADCAST;

/** One ring as it is saved. */
interface SavedRing extends RingPlace {
  readonly partner: number;
  readonly kind: number;
  readonly produced: number;
  readonly consumed: number;
}

/** A native data plane that is suspended, as bytes. */
export function saveState(plane: NativePlane, station: Station): Uint8Array {
  const bytes = new Uint8Array(SAVED_STATE.SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(SAVED_STATE.magic, VB_MAGIC, true);
  view.setUint32(SAVED_STATE.version, (VB_VERSION.MAJOR << 16) | VB_VERSION.MINOR, true);
  bytes.set(station.mac, SAVED_STATE.mac);
  view.setUint16(SAVED_STATE.receiveMode, station.mode, true);
  for (const ring of plane.completionRings)
    if (ring !== undefined) writeRing(view, ring.place.id, ring, ring.vector, ring.isArmed ? 1 : 0);
  for (const ring of plane.submissionRings)
    if (ring !== undefined)
      writeRing(view, COMPLETION_RINGS + ring.place.id, ring, ring.completions.place.id, ring.kind);
  return bytes;
}

/** Put a function where another was saved. @returns why it cannot be, with nothing changed */
export function restoreState(bytes: Uint8Array, function_: VendorBFunction): string | undefined {
  const problem = headerProblem(bytes);
  if (problem !== undefined) return problem;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const all = Array.from({ length: COMPLETION_RINGS + SUBMISSION_RINGS }, (_, slot) => readRing(view, slot));
  const completions = all.slice(0, COMPLETION_RINGS);
  const submissions = all.slice(COMPLETION_RINGS);
  const wrong = ringProblem(completions, submissions);
  if (wrong !== undefined) return wrong;
  function_.setMode(VB_MODE.NATIVE);
  function_.hold();
  function_.station.mac.set(bytes.subarray(SAVED_STATE.mac, SAVED_STATE.mac + MAC_BYTES));
  function_.station.mode = view.getUint16(SAVED_STATE.receiveMode, true);
  openRings(function_, completions, submissions);
  return undefined;
}

function openRings(
  { native, space }: VendorBFunction,
  completions: readonly (SavedRing | undefined)[],
  submissions: readonly (SavedRing | undefined)[],
): void {
  for (const saved of completions) {
    if (saved === undefined) continue;
    const ring = new CompletionRing(space, saved, saved.partner);
    ring.produced = saved.produced;
    ring.consumed = saved.consumed;
    ring.isArmed = saved.kind === 1;
    native.completionRings[saved.id] = ring;
  }
  for (const saved of submissions) {
    if (saved === undefined) continue;
    const ring = new SubmissionRing(space, saved, saved.kind, native.completionRings[saved.partner]!);
    ring.produced = saved.produced;
    ring.consumed = saved.consumed;
    native.submissionRings[saved.id] = ring;
  }
}

function headerProblem(bytes: Uint8Array): string | undefined {
  if (bytes.length !== SAVED_STATE.SIZE)
    return `the state has ${bytes.length} bytes, want ${SAVED_STATE.SIZE} of vendor B`;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const magic = view.getUint32(SAVED_STATE.magic, true);
  if (magic !== VB_MAGIC)
    return `the state begins with 0x${magic.toString(16)}, want 0x${VB_MAGIC.toString(16)} of vendor B`;
  const major = view.getUint32(SAVED_STATE.version, true) >>> 16;
  if (major !== VB_VERSION.MAJOR) return `the state is of version ${major}, want ${VB_VERSION.MAJOR}`;
  if (!isStationMac(bytes.subarray(SAVED_STATE.mac, SAVED_STATE.mac + MAC_BYTES))) return 'the address is no station’s';
  const mode = view.getUint16(SAVED_STATE.receiveMode, true);
  return (mode & ~MODES) === 0
    ? undefined
    : `the receive mode is 0x${mode.toString(16)}, want bits of 0x${MODES.toString(16)}`;
}

function ringProblem(
  completions: readonly (SavedRing | undefined)[],
  submissions: readonly (SavedRing | undefined)[],
): string | undefined {
  for (const ring of completions) {
    if (ring === undefined) continue;
    const hasVector = ring.partner < VENDOR_B_COUNT.VECTORS || ring.partner === VB_NO_VECTOR;
    if (placeStatus(ring) !== 0 || !isWithin(ring) || !hasVector || ring.kind > 1)
      return `completion ring ${ring.id} cannot be`;
  }
  const kinds = new Set<number>();
  for (const ring of submissions) {
    if (ring === undefined) continue;
    const isKind = ring.kind === RING_KIND.RECEIVE || ring.kind === RING_KIND.TRANSMIT;
    const isPossible = placeStatus(ring) === 0 && isWithin(ring) && isKind && completions[ring.partner] !== undefined;
    if (!isPossible || kinds.has(ring.kind)) return `submission ring ${ring.id} cannot be`;
    kinds.add(ring.kind);
  }
  return undefined;
}

const isWithin = ({ produced, consumed, entries }: SavedRing): boolean => ((produced - consumed) & 0xffff) <= entries;

function writeRing(
  view: DataView,
  slot: number,
  { place, produced, consumed }: CompletionRing | SubmissionRing,
  partner: number,
  kind: number,
): void {
  const at = SAVED_STATE.rings + slot * SAVED_RING.SIZE;
  view.setUint16(at + SAVED_RING.entries, place.entries, true);
  view.setUint16(at + SAVED_RING.generation, place.generation, true);
  view.setUint16(at + SAVED_RING.partner, partner, true);
  view.setUint16(at + SAVED_RING.kind, kind, true);
  view.setUint16(at + SAVED_RING.produced, produced, true);
  view.setUint16(at + SAVED_RING.consumed, consumed, true);
  view.setUint32(at + SAVED_RING.address, place.address >>> 0, true);
  view.setUint32(at + SAVED_RING.addressHigh, Math.floor(place.address / TWO_32), true);
}

/** @returns undefined where there is no ring */
function readRing(view: DataView, slot: number): SavedRing | undefined {
  const at = SAVED_STATE.rings + slot * SAVED_RING.SIZE;
  const entries = view.getUint16(at + SAVED_RING.entries, true);
  if (entries === 0) return undefined;
  const high = view.getUint32(at + SAVED_RING.addressHigh, true);
  return {
    id: slot < COMPLETION_RINGS ? slot : slot - COMPLETION_RINGS,
    entries,
    generation: view.getUint16(at + SAVED_RING.generation, true),
    partner: view.getUint16(at + SAVED_RING.partner, true),
    kind: view.getUint16(at + SAVED_RING.kind, true),
    produced: view.getUint16(at + SAVED_RING.produced, true),
    consumed: view.getUint16(at + SAVED_RING.consumed, true),
    address: high * TWO_32 + view.getUint32(at + SAVED_RING.address, true),
  };
}
