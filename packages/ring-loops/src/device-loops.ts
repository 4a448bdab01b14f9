import { MemoryModule } from '@ringwire/guest-memory';
import { DEVICE_LOOPS_WASM } from './device-loops-wasm.js';

/** What device-loops.wat exports, which says what the parameters are. */
export interface DeviceLoops {
  takeSplit(
    desc: number,
    ring: number,
    mask: number,
    idx: number,
    max: number,
    kind: number,
    lo: number,
    hi: number,
    host: number,
    usable: number,
    own: number,
    order: number,
    token: number,
    offset: number,
    length: number,
  ): number;
  putSplit(
    ring: number,
    mask: number,
    used: number,
    token: number,
    written: number,
    max: number,
    own: number,
    order: number,
  ): number;
  putSplitInOrder(
    order: number,
    mask: number,
    used: number,
    token: number,
    written: number,
    max: number,
    own: number,
    last: number,
  ): number;
  takePacked(
    desc: number,
    slot: number,
    end: number,
    kind: number,
    lo: number,
    hi: number,
    host: number,
    usable: number,
    chains: number,
    token: number,
    offset: number,
    length: number,
  ): number;
  putPacked(
    desc: number,
    size: number,
    used: number,
    marks: number,
    put: number,
    inOrder: number,
    token: number,
    written: number,
    max: number,
    chains: number,
    state: number,
  ): number;
  putPackedInOrder(
    size: number,
    used: number,
    token: number,
    written: number,
    max: number,
    chains: number,
    state: number,
  ): number;
}

/** The loops of device queues, on shared memory. */
export const deviceLoops: MemoryModule<DeviceLoops> = new MemoryModule(DEVICE_LOOPS_WASM);
