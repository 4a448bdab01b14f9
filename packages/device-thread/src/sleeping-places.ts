import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { type CablePlace, cableSpotAt, unplugCable } from '@ringwire/net-backend';
import type { ControlLayout } from './control-layout.js';
import { ParkingSpot, SPOT_WORDS } from './parking-spot.js';
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

/** Backends of queue threads, one for each; none of a device that one thread serves. */
export function laneBackends({ model }: CompleteThreadConfig): readonly BackendConfig[] {
  return model.type === 'net' && isList(model.backend) ? model.backend : [];
}

const isList = (backend: BackendConfig | readonly BackendConfig[]): backend is readonly BackendConfig[] =>
  Array.isArray(backend);

/** Where the thread of a device sleeps, unless in the control block. */
export function sleepingPlaceOf({ memory, model }: CompleteThreadConfig): SleepingPlace | undefined {
  if (model.type !== 'net' || isList(model.backend) || model.backend.type !== 'cable') return undefined;
  return cablePlaceOf(memory, cableOf(model.backend), model.backend.end);
}

/** Where the queue threads of a device sleep. @param words the control block */
export function lanePlacesOf(config: CompleteThreadConfig, words: Int32Array, layout: ControlLayout): SleepingPlace[] {
  return laneBackends(config).map((backend, lane) =>
    backend.type === 'cable'
      ? cablePlaceOf(config.memory, cableOf(backend), backend.end)
      : { words, at: layout.laneSpots + lane * SPOT_WORDS },
  );
}

/** Nobody is at this device's ends of cables any more: what is sent to it is lost, rather than waited with. */
export function unplugCables({ memory, model }: CompleteThreadConfig): void {
  if (model.type !== 'net') return;
  for (const backend of isList(model.backend) ? model.backend : [model.backend])
    if (backend.type === 'cable') unplugCable(HostMemory.adopt(memory), cableOf(backend), backend.end);
}

/** Most frames that wait in each direction unless told. */
const FRAMES = 512;

export function cableOf({ at, bytes, frames = FRAMES }: BackendConfig & { type: 'cable' }): CablePlace {
  return { at, bytes, frames };
}
