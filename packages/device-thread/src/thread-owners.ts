import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { evictThread, newBusOwner } from '@ringwire/iommu';
import { freePrivateArrays, newPrivateOwner } from '@ringwire/ring-loops';
import type { SpaceConfig } from './thread-config.js';

/** Numbers that a thread is known by where it shares something with others, given before it runs; 0 where it does not. */
export interface ThreadOwners {
  readonly bus: number;
  readonly memory: number;
}

/** What threads share that may be ended at any moment. */
interface SharedPlaces {
  readonly memory: WasmMemory;
  readonly space: SpaceConfig;
}

export function newOwners({ memory, space }: SharedPlaces): ThreadOwners {
  return {
    bus: space.type === 'vtd' ? newBusOwner(space.bus) : 0,
    memory: newPrivateOwner(HostMemory.adopt(memory)),
  };
}

/** A thread does not run any more: nobody waits for its burst or a lock of its, and what it had is for others. */
export function evictOwners({ memory, space }: SharedPlaces, { bus, memory: owner }: ThreadOwners): void {
  evictBus(space, bus);
  freePrivateArrays(HostMemory.adopt(memory), owner);
}

/** The same for the bus alone, from within the thread as it ends: its memory it may still use. */
export function evictBus(space: SpaceConfig, owner: number): void {
  if (space.type === 'vtd') evictThread(space.bus, owner);
}
