import { type HostMemory, MemoryModule } from '@ringwire/guest-memory';
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
  putSplit(ring: number, mask: number, used: number, token: number, written: number, max: number, own: number): number;
  putSplitInOrder(
    order: number,
    mask: number,
    used: number,
    token: number,
    written: number,
    max: number,
    own: number,
    givenUp: number,
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
    givenUp: number,
    state: number,
  ): number;
}

const MODULE = new MemoryModule<DeviceLoops>(DEVICE_LOOPS_WASM);
const instances = new WeakMap<HostMemory, DeviceLoops>();

/** The loops on a memory, which has to be a shared one. */
export function deviceLoops(memory: HostMemory): DeviceLoops {
  let loops = instances.get(memory);
  if (loops === undefined) {
    loops = MODULE.on(memory.wasm!);
    instances.set(memory, loops);
  }
  return loops;
}
