import { ACCESS, type AddressSpace, type HostMemory } from '@ringwire/guest-memory';
import type { HostRange, VdpaMapping } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

/** Mappings that one address space may have: what Linux's vhost allows. */
export const MAPPINGS_MAX = 65_535;
/** Addresses are numbers below 2^53; the last one is never mapped, so that every range has an end. */
export const IOVA_END: number = 2 ** 53 - 4096;
const RW = ACCESS.READ | ACCESS.WRITE;

/** What is mapped in one of a device's address spaces. What is not mapped the device does not reach. */
export interface AsidMappings {
  readonly memory: HostMemory;
  /** What addresses and lengths are multiples of. */
  readonly granule: number;
  readonly mappings: readonly VdpaMapping[];
  /** INVALID, EXISTS, NO_ROOM, or NOT_MEMORY for what the host does not have. */
  map(mapping: VdpaMapping): VdpaOutcome;
  /** Exactly this range; mappings that reach out of it keep the rest. BUSY within a burst of this thread. */
  unmap(iova: number, bytes: number): VdpaOutcome;
  /** Unmap everything. */
  clear(): VdpaOutcome;
  /** Whether {@link trackDirty} works: what translates notes writes. */
  readonly tracksDirty: boolean;
  /** Note what is written from now on, or note it no more. UNSUPPORTED, NO_ROOM, BUSY within a burst of this thread. */
  trackDirty(isOn: boolean): VdpaOutcome;
  /** Pages that may have been written since this was asked last, be they mapped still. Not within a burst of this thread. */
  takeDirty(): readonly HostRange[];
}

/** The same, with the device's side of it: whoever has the device maps, and the device resolves. */
export interface AsidSpace extends AsidMappings, AddressSpace {}

/** Why a mapping, foreign, cannot be; OK when its numbers can. */
export function mappingProblem(mapping: VdpaMapping, granule: number, memoryBytes: number): VdpaOutcome {
  const { iova, bytes, host, access } = mapping;
  if (!isRange(iova, bytes, granule)) return VDPA.INVALID;
  if (access === 0 || (access & ~RW) !== 0) return VDPA.INVALID;
  if (!Number.isSafeInteger(host) || host < 0 || host % granule !== 0) return VDPA.INVALID;
  return host + bytes > memoryBytes ? VDPA.NOT_MEMORY : VDPA.OK;
}

/** Whether a range can be in an address space. */
export function isRange(iova: number, bytes: number, granule: number): boolean {
  if (!Number.isSafeInteger(iova) || iova < 0 || iova % granule !== 0) return false;
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % granule !== 0) return false;
  return bytes <= IOVA_END - iova;
}
