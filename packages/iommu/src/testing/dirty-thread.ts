import { parentPort, workerData } from 'node:worker_threads';
import { ACCESS, HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { InvalidationBus } from '../invalidation-bus.js';
import { LoggingDevice, MAPPED, PAGE } from './dirty-stage.js';

export interface DirtyOrder {
  readonly memory: WasmMemory;
  readonly words: Int32Array;
  readonly rtaddr: bigint;
  /** Word 0: 1 when the device runs, 2 to stop it. */
  readonly control: Int32Array;
}

// A device that writes here and there as fast as it can, a few requests in each burst.
const { memory: wasm, words, rtaddr, control } = workerData as DirtyOrder;
const device = new LoggingDevice(HostMemory.adopt(wasm), new InvalidationBus(words), rtaddr);
let seed = 1;
const random = (below: number): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return (seed >>> 8) % below;
};
let bursts = 0;
Atomics.store(control, 0, 1);
Atomics.notify(control, 0);
while (Atomics.load(control, 0) !== 2) {
  device.space.enter();
  for (let i = random(6); i >= 0; i--) {
    const iova = random((MAPPED - 2) * PAGE);
    device.dma(iova, 1 + random(5000), ACCESS.WRITE, random(256));
    device.dma(random(MAPPED * PAGE - 8), 8, ACCESS.READ, 0);
  }
  device.space.leave();
  bursts++;
}
parentPort!.postMessage({ bursts, wrote: [...device.wrote] });
