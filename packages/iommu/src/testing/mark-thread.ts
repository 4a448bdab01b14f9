import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { DirtyLog } from '../dirty-log.js';

export interface MarkOrder {
  readonly memory: WasmMemory;
  readonly bytes: number;
  readonly passes: number;
  /** Word 0: passes that may begin; word 1: passes that are done. */
  readonly control: Int32Array;
}

// Marks each page of a log once in each pass.
const { memory, bytes, passes, control } = workerData as MarkOrder;
const regions = [{ gpa: 0, size: 1, host: 0 }];
const log = new DirtyLog({ memory: HostMemory.adopt(memory), base: 0, bytes, regions });
for (let pass = 1; pass <= passes; pass++) {
  while (Atomics.load(control, 0) < pass);
  for (let page = 0; page < bytes * 8; page++) log.mark(page * 4096, 1);
  Atomics.store(control, 1, pass);
}
parentPort!.postMessage('done');
