import { type AddressSpace, type HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { buildKeptNet } from './build-model.js';
import { DeviceKeeper } from './device-keeper.js';
import type { LinkPlace } from './device-link.js';
import { keepLayoutOf } from './protected-config.js';
import type { ServeOnce } from './rehearsal.js';
import { serveDevice } from './serve-device.js';
import type { CompleteThreadConfig, KeptOrder, NetModelConfig } from './thread-config.js';

/** What a waiting worker is told, in the word of its own. */
export const GATE = { WAIT: 0, GO: 1, END: 2 } as const;

/**
 * Wait until this thread is to go on with the device.
 * @param standing called when it only waits
 * @returns false when it is not needed any more
 */
export function waitAtGate({ gate }: KeptOrder, standing: () => void): boolean {
  standing();
  while (Atomics.load(gate, 0) === GATE.WAIT) Atomics.wait(gate, 0, GATE.WAIT);
  return Atomics.load(gate, 0) === GATE.GO;
}

/** Serve a protected device, from where it was left. @returns whether it is left again as it is */
export function serveKept(
  place: LinkPlace,
  config: CompleteThreadConfig,
  { at }: KeptOrder,
  memory: HostMemory,
  { space, translated }: { readonly space: AddressSpace; readonly translated: boolean },
  again: boolean,
  running: () => void,
): boolean {
  const model = config.model as NetModelConfig;
  const keeper: DeviceKeeper = new DeviceKeeper(memory, keepLayoutOf(at, model), (queue) => queue >= net.dataQueues);
  const net = buildKeptNet(model, memory, keeper);
  const { offer, vectors, budget, spinTurns } = config;
  const accessed = (_device: unknown, isWrite: boolean): void => {
    if (isWrite) keeper.save();
  };
  const served = { model: net, space, translated, vectors, budget, spinTurns, kept: keeper, accessed, running };
  return serveDevice(place, { ...served, ...(offer === undefined ? {} : { offer }) }, again);
}

/** The same for a rehearsal, whose device has all of its memory. */
export const serveOnce: ServeOnce = (place, config, kept, memory, begun) => {
  serveKept(place, config, kept, memory, { space: new IdentitySpace(memory), translated: false }, false, begun);
};
