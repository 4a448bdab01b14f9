import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { type CablePlace, cableSpotAt, unplugCable } from '@ringwire/net-backend';
import type { ControlLayout } from './control-layout.js';
import { ParkingSpot } from './parking-spot.js';
import type { BackendConfig, CompleteThreadConfig } from './thread-config.js';

/** Where a thread sleeps that is also woken by others than the drivers of its device: `SPOT_WORDS` words from `at` on. */
export interface SleepingPlace {
  readonly words: Int32Array;
  readonly at: number;
}

/** The spot of a device's thread: its own place, or the one in the control block. */
export function deviceSpotOf(words: Int32Array, layout: ControlLayout, place: SleepingPlace | undefined): ParkingSpot {
  return place === undefined ? new ParkingSpot(words, layout.deviceSpot) : new ParkingSpot(place.words, place.at);
}

/** Where the thread at an end of a cable sleeps: in the cable, so that the thread at the other end finds it. */
export function cablePlaceOf({ buffer }: WasmMemory, cable: CablePlace, end: number): SleepingPlace {
  return { words: new Int32Array(buffer), at: cableSpotAt(cable, end) >> 2 };
}

/** Where the thread of a device sleeps, unless in the control block. */
export function sleepingPlaceOf({ memory, model }: CompleteThreadConfig): SleepingPlace | undefined {
  if (model.type !== 'net' || model.backend.type !== 'cable') return undefined;
  return cablePlaceOf(memory, cableOf(model.backend), model.backend.end);
}

/** Nobody is at this device's end of a cable any more: what is sent to it is lost, rather than waited with. */
export function unplugCables({ memory, model }: CompleteThreadConfig): void {
  if (model.type !== 'net' || model.backend.type !== 'cable') return;
  unplugCable(HostMemory.adopt(memory), cableOf(model.backend), model.backend.end);
}

/** Most frames that wait in each direction unless told. */
const FRAMES = 512;

export function cableOf({ at, bytes, frames = FRAMES }: BackendConfig & { type: 'cable' }): CablePlace {
  return { at, bytes, frames };
}
