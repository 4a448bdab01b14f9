import { parentPort, workerData } from 'node:worker_threads';
import { ACCESS, HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { deviceSpace, faultAddress } from './dma-stage.js';

export interface FaultOrder {
  readonly memory: WasmMemory;
  readonly words: Int32Array;
  readonly registers: Uint32Array;
  readonly sourceId: number;
  /** Its numbers in unit and bus, when it may be ended. */
  readonly unitOwner?: number;
  readonly busOwner?: number;
  /** Word 0: interrupts sent so far; word 1: devices that are ready; word 2: 1 when they may begin, 2 to stop them. */
  readonly control: Int32Array;
}

// A device that asks for nothing but what it may not have.
const { memory, words, registers, sourceId, control, unitOwner, busOwner } = workerData as FaultOrder;
const onInterrupt = (): void => {
  Atomics.add(control, 0, 1);
  Atomics.notify(control, 0);
};
const { space } = deviceSpace(HostMemory.adopt(memory), words, 0, {
  registers,
  sourceId,
  onInterrupt,
  unitOwner,
  busOwner,
});
Atomics.add(control, 1, 1);
while (Atomics.load(control, 2) === 0);
let faults = 0;
for (; Atomics.load(control, 2) !== 2; faults++) {
  space.enter();
  if (space.resolve(faultAddress(sourceId, faults), 1, ACCESS.READ) >= 0) throw new Error('want a fault');
  space.leave();
}
space.close();
parentPort!.postMessage(faults);
