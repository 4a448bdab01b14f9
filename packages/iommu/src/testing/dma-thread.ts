import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { deviceSpace, PAGE, RW } from './dma-stage.js';

export interface DmaOrder {
  readonly memory: WasmMemory;
  readonly words: Int32Array;
  readonly root: number;
  /** Pages that come and go. */
  readonly pages: number;
  /** Word 0: 1 when the device runs, 2 to stop it. */
  readonly control: Int32Array;
}

// A device that writes into every page it can reach, as fast as it can, and lingers in its bursts.
const { memory: wasm, words, root, pages, control } = workerData as DmaOrder;
const memory = HostMemory.adopt(wasm);
const { space, iotlb } = deviceSpace(memory, words, root, 16);
let wrote = 0;
let blocked = 0;
Atomics.store(control, 0, 1);
Atomics.notify(control, 0);
for (let turn = 1; Atomics.load(control, 0) !== 2; turn++) {
  space.enter();
  const offsets: number[] = [];
  for (let page = 0; page < pages; page++) offsets.push(space.resolve(page * PAGE, PAGE, RW));
  for (let linger = 0; linger < turn % 200; linger++) wrote += 0;
  for (const offset of offsets) {
    if (offset < 0) blocked++;
    else {
      memory.u32[offset >>> 2] = turn;
      wrote++;
    }
  }
  space.leave();
}
space.close();
parentPort!.postMessage({ wrote, blocked, hits: iotlb.counters.hits });
