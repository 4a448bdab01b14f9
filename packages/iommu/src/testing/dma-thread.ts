import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { BUS_WORDS } from '../invalidation-bus.js';
import { deviceSpace, PAGE, RW } from './dma-stage.js';

/** What a device does wrong on purpose: hears of no invalidation, or ends its burst before it writes. */
export type Broken = 'deaf' | 'hasty';

export interface DmaOrder {
  readonly memory: WasmMemory;
  readonly words: Int32Array;
  readonly root: number;
  /** Pages that come and go, and bytes from one to the next. */
  readonly pages: number;
  readonly pitch: number;
  readonly caches: boolean;
  readonly atc: boolean;
  readonly broken: Broken | undefined;
  /** Word 0: 1 when the device runs, 2 to stop it. */
  readonly control: Int32Array;
}

export interface DmaOutcome {
  readonly wrote: number;
  readonly blocked: number;
  /** Of whatever is looked at first: IOTLB or ATC. */
  readonly hits: number;
  /** Walks that began at a table that was cached. */
  readonly tableHits: number;
}

// A device that writes into every page it can reach, as fast as it can, and lingers in its bursts.
const order = workerData as DmaOrder;
const { pages, pitch, caches, atc, broken, control } = order;
const memory = HostMemory.adopt(order.memory);
const words = broken === 'deaf' ? new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4)) : order.words;
const device = deviceSpace(memory, words, order.root, { capacity: 16, caches, atc });
const { space } = device;
let wrote = 0;
let blocked = 0;
Atomics.store(control, 0, 1);
Atomics.notify(control, 0);
for (let turn = 1; Atomics.load(control, 0) !== 2; turn++) {
  space.enter();
  const offsets: number[] = [];
  for (let page = 0; page < pages; page++) offsets.push(space.resolve(page * pitch, PAGE, RW));
  if (broken === 'hasty') space.leave();
  for (let linger = 0; linger < turn % 200; linger++) wrote += 0;
  for (const offset of offsets) {
    if (offset < 0) blocked++;
    else {
      memory.u32[offset >>> 2] = turn;
      wrote++;
    }
  }
  if (broken !== 'hasty') space.leave();
}
space.close();
const { hits } = (device.atc?.cache ?? device.iotlb).counters;
const outcome: DmaOutcome = { wrote, blocked, hits, tableHits: device.caches?.tableHits ?? 0 };
parentPort!.postMessage(outcome);
