import { SHOWN } from './control-layout.js';
import type { ThreadPlace } from './dead-device.js';
import type { DeviceKeeper } from './device-keeper.js';
import type { ProtectedConfigs } from './protected-config.js';
import { controlLayoutOf } from './queue-threads.js';
import { unplugCables } from './sleeping-places.js';

/** The place of a device whose threads run either configuration. */
export function placeOfThreads(configs: ProtectedConfigs, words: Int32Array): ThreadPlace {
  const unplug = (): void => Object.values(configs).forEach(unplugCables);
  return { words, layout: controlLayoutOf(configs.primary), transport: 'pci', leaveBus: () => {}, unplug };
}

/** What a driver sees of a dead device that is made anew. */
export function startOver({ words, layout }: ThreadPlace, keeper: DeviceKeeper): void {
  keeper.forget();
  for (const word of [SHOWN.STATUS, SHOWN.ISR]) Atomics.store(words, layout.shown + word, 0);
}
