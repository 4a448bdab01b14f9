import { ACCESS } from '@ringwire/guest-memory';
import { IOVA_END, MAPPINGS_MAX } from '../asid-space.js';
import type { VdpaDevice, VdpaMapping } from '../vdpa-device.js';
import { VDPA, vdpaOutcomeName } from '../vdpa-outcome.js';
import { type ImageRefusal, refuse } from './device-image.js';
import type { GuestPages } from './guest-pages.js';
import { getU64, setU64 } from './hello.js';
import { MAPPING } from './record-layout.js';

const RW = ACCESS.READ | ACCESS.WRITE;
/** Mappings of one record. */
export const MAPPINGS_PER_RECORD = 0x1_0000;

/** One mapping of a device, its memory by the guest's own addresses. */
export interface MovedMapping {
  readonly space: number;
  readonly access: number;
  readonly iova: number;
  readonly bytes: number;
  readonly gpa: number;
}

/** All mappings of a device, or why they cannot be said in the guest's addresses. */
export function mappingsOf(device: VdpaDevice, ram: GuestPages): MovedMapping[] | ImageRefusal {
  const moved: MovedMapping[] = [];
  for (let space = 0; space < device.spaceCount; space++)
    for (const { iova, bytes, host, access } of device.mappings(space)) {
      const pieces = ram.guestPieces(host, bytes);
      if (pieces === undefined) return refuse(`what is mapped at ${iova} is none of the guest’s memory`);
      let at = iova;
      for (const piece of pieces) {
        moved.push({ space, access, iova: at, bytes: piece.bytes, gpa: piece.gpa });
        at += piece.bytes;
      }
    }
  return moved;
}

export function encodeMappings(mappings: readonly MovedMapping[]): Uint8Array {
  const bytes = new Uint8Array(mappings.length * MAPPING.SIZE);
  const view = new DataView(bytes.buffer);
  for (const [place, mapping] of mappings.entries()) {
    const at = place * MAPPING.SIZE;
    view.setUint32(at + MAPPING.space, mapping.space, true);
    view.setUint32(at + MAPPING.access, mapping.access, true);
    setU64(view, at + MAPPING.iova, mapping.iova);
    setU64(view, at + MAPPING.bytes, mapping.bytes);
    setU64(view, at + MAPPING.gpa, mapping.gpa);
  }
  return bytes;
}

/** Read foreign mappings, and find them in this host's memory. */
export function decodeMappings(bytes: Uint8Array, ram: GuestPages): (VdpaMapping & { space: number })[] | ImageRefusal {
  if (bytes.length % MAPPING.SIZE !== 0)
    return refuse(`MAPPINGS has ${bytes.length} bytes, want a multiple of ${MAPPING.SIZE}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: (VdpaMapping & { space: number })[] = [];
  for (let at = 0; at < bytes.length; at += MAPPING.SIZE) {
    const space = view.getUint32(at + MAPPING.space, true);
    const access = view.getUint32(at + MAPPING.access, true);
    const iova = getU64(view, at + MAPPING.iova);
    const length = getU64(view, at + MAPPING.bytes);
    const gpa = getU64(view, at + MAPPING.gpa);
    if (access === 0 || (access & ~RW) !== 0) return refuse(`a mapping has access ${access}, want READ, WRITE or both`);
    if (length === 0 || iova + length > IOVA_END)
      return refuse(`a mapping has ${length} bytes at ${iova}, want below 2^53`);
    const host = ram.hostAt(gpa, length);
    if (host < 0) return refuse(`a mapping has ${length} bytes of the guest’s at ${gpa}, where it has none`);
    found.push({ space, access, iova, bytes: length, host });
  }
  return found;
}

/** Have these mappings and no others. @returns why not */
export function applyMappings(
  device: VdpaDevice,
  mappings: readonly (VdpaMapping & { space: number })[],
): string | undefined {
  for (let space = 0; space < device.spaceCount; space++) {
    const own = mappings.filter((mapping) => mapping.space === space);
    if (own.length > MAPPINGS_MAX)
      return `address space ${space} has ${own.length} mappings, want at most ${MAPPINGS_MAX}`;
    const outcome = device.setMap(
      space,
      own.map(({ iova, bytes, host, access }) => ({ iova, bytes, host, access })),
    );
    if (outcome !== VDPA.OK) return `the mappings of address space ${space} end with ${vdpaOutcomeName(outcome)}`;
  }
  const strange = mappings.find(({ space }) => space >= device.spaceCount);
  return strange === undefined
    ? undefined
    : `a mapping is of address space ${strange.space}, and the target has ${device.spaceCount}`;
}
