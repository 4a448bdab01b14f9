import { parentPort, workerData } from 'node:worker_threads';
import type { LinkPlace } from '@ringwire/device-thread';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { cardDma } from 'bench/card';
import { Guest } from './guest.js';
import { FRAME_BYTES, type FunctionPlan, ODD_ONE, OUTSIDE, RAM_BYTES, WORD } from './topology.js';

/** What a guest's thread is given. */
export interface GuestJob {
  readonly plan: FunctionPlan;
  readonly memory: WasmMemory;
  readonly place: LinkPlace;
  readonly ramAt: number;
  readonly mac: Uint8Array;
  /** The next guest's. */
  readonly neighbour: Uint8Array;
  readonly words: Int32Array;
}

/** What a guest counted. */
export interface GuestResult {
  readonly sent: number;
  /** Of these, frames from an address that is not its own, and PAUSE frames. */
  readonly odd: number;
  readonly received: number;
}

/** How long a guest sleeps that has nothing to do, in ms. */
const NAP = 5;
/** Once all have stopped sending, what is on its way arrives, in ms. */
const REST = 200;
/** Frames between two looks at what came in. */
const BURST = 32;
const PAUSE_ADDRESS = Uint8Array.of(0x01, 0x80, 0xc2, 0, 0, 1);

const { plan, memory, place, ramAt, mac, neighbour, words } = workerData as GuestJob;
const dma = cardDma(HostMemory.adopt(memory), { ramAt, ramBytes: RAM_BYTES });
const guest = new Guest(plan.kind, place, dma, mac);

const frameTo = (to: Uint8Array, from: Uint8Array, bytes: number, type: readonly number[]): Uint8Array => {
  const frame = new Uint8Array(bytes);
  frame.set([...to, ...from, ...type]);
  return frame;
};
const EXPERIMENTS = [0x88, 0xb5];
const frames = [neighbour, OUTSIDE].map((to) => frameTo(to, mac, FRAME_BYTES, EXPERIMENTS));
/** What a script sends: a frame in the neighbour's name, or IEEE 802.3 annex 31B's PAUSE, for as long as it can say. */
const odd =
  plan.script === 'forges'
    ? frameTo(OUTSIDE, neighbour, FRAME_BYTES, EXPERIMENTS)
    : frameTo(PAUSE_ADDRESS, mac, 60, [0x88, 0x08, 0x00, 0x01, 0xff, 0xff]);

let sent = 0;
let odds = 0;
parentPort?.postMessage('ready');
Atomics.wait(words, WORD.GO, 0);
while (Atomics.load(words, WORD.GO) === 1) {
  let isFull = false;
  for (let i = 0; i < BURST && !isFull; i++) {
    const isOdd = plan.script !== 'plain' && sent % ODD_ONE === ODD_ONE - 1;
    if (guest.send(isOdd ? odd : frames[sent & 1]!)) {
      sent++;
      if (isOdd) odds++;
    } else isFull = true;
  }
  guest.attend(isFull ? NAP : 0);
}
for (const end = performance.now() + REST; performance.now() < end; ) guest.attend(NAP);
const result: GuestResult = { sent, odd: odds, received: guest.received };
parentPort?.postMessage(result);
