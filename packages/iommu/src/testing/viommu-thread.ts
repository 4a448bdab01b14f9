import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { type DeviceSide, viommuSpace } from './viommu-stage.js';

export interface ViommuOrder {
  readonly memory: WasmMemory;
  readonly side: DeviceSide;
  /** I/O addresses of the pages that come and go. */
  readonly iovas: readonly number[];
  /** Word 0: 1 when the device runs, 2 to stop it. */
  readonly control: Int32Array;
}

// A device that writes into every page it can reach, as fast as it can.
const { memory: wasm, side, iovas, control } = workerData as ViommuOrder;
const memory = HostMemory.adopt(wasm);
const { space, iotlb } = viommuSpace(memory, side, 16);
const offsets = new Float64Array(iovas.length);
let wrote = 0;
let blocked = 0;
Atomics.store(control, 0, 1);
Atomics.notify(control, 0);
for (let turn = 1; Atomics.load(control, 0) !== 2; turn++) {
  space.enter();
  for (let i = 0; i < iovas.length; i++) offsets[i] = space.resolve(iovas[i]!, 4096, 3);
  for (const offset of offsets) {
    if (offset < 0) blocked++;
    else {
      memory.u32[offset >>> 2] = turn;
      wrote++;
    }
  }
  space.leave();
}
parentPort!.postMessage({ wrote, blocked, hits: iotlb.counters.hits });
