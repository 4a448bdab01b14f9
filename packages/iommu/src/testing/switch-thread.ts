import { parentPort, workerData } from 'node:worker_threads';
import { ACCESS, HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { type DeviceOptions, deviceSpace, PAGE, REGIONS, WINDOW } from './dma-stage.js';

export interface SwitchOrder {
  readonly memory: WasmMemory;
  readonly words: Int32Array;
  readonly registers: Uint32Array;
  readonly options: DeviceOptions;
  /** Word 0: 1 when the device runs, 2 to stop it; word 1: bursts so far. */
  readonly control: Int32Array;
}

export interface SwitchOutcome {
  /** Bursts whose accesses all went to one region, by region. */
  readonly whole: readonly number[];
  /** Bursts, and accesses, that mixed two regions, and accesses that were refused. */
  readonly mixed: number;
  readonly refused: number;
}

// A device that writes into both pages of the window, one by one and across, many times in a burst.
const { memory: wasm, words, registers, options, control } = workerData as SwitchOrder;
const memory = HostMemory.adopt(wasm);
const { space } = deviceSpace(memory, words, 0, { ...options, registers });
const whole = REGIONS.map(() => 0);
let mixed = 0;
let refused = 0;
const asks: readonly (readonly [at: number, length: number])[] = [
  [0, 8],
  [PAGE - 8, 16],
  [PAGE, 8],
  [2 * PAGE - 8, 8],
  [0, 2 * PAGE],
];
Atomics.store(control, 0, 1);
Atomics.notify(control, 0);
while (Atomics.load(control, 0) !== 2) {
  space.enter();
  let region = -1;
  for (let turn = 0; turn < 8; turn++) {
    for (const [at, length] of asks) {
      const offset = space.resolve(WINDOW + at, length, ACCESS.WRITE);
      const found = REGIONS.indexOf(offset - at);
      if (offset === -1) refused++;
      else if (found < 0 || (region >= 0 && found !== region)) mixed++;
      if (found < 0) continue;
      region = found;
      memory.u32[offset >>> 2] = turn + 1;
      memory.u32[(offset + length - 4) >>> 2] = turn + 1;
    }
  }
  if (region >= 0) whole[region] = whole[region]! + 1;
  space.leave();
  Atomics.add(control, 1, 1);
}
space.close();
const outcome: SwitchOutcome = { whole, mixed, refused };
parentPort!.postMessage(outcome);
