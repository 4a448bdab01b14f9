import { ParkingSpot } from '@ringwire/device-thread';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { type CablePlace, cableSpotAt, SharedCable } from '@ringwire/net-backend';
import { type MachineOrder, type MachineView, PingingMachine } from './pinging-machine.js';

/** What a machine's worker is told. */
export type ToMachine =
  | {
      readonly type: 'open';
      readonly order: MachineOrder;
      readonly memory: WasmMemory;
      /** To the switch: the machine is end 0 of it. */
      readonly cable: CablePlace;
    }
  | { readonly type: 'pause'; readonly isPaused: boolean };

/** What it says: how things are, several times a second, or why the machine ended. */
export type FromMachine = MachineView | { readonly problem: string };

const SHOW_MS = 250;

const page = globalThis as unknown as { postMessage(message: FromMachine): void };
let machine: PingingMachine | undefined;
let isPaused = false;

/** A machine whose card is plugged into a cable: its other end is another thread's. */
async function open({ order, memory: shared, cable: place }: Extract<ToMachine, { type: 'open' }>): Promise<never> {
  const memory = HostMemory.adopt(shared);
  const spotOf = (end: number): ParkingSpot => new ParkingSpot(memory.i32, cableSpotAt(place, end) >> 2);
  const [own, other] = [spotOf(0), spotOf(1)];
  machine = await PingingMachine.open(order, new SharedCable(memory, place, 0, () => other.wake()));
  machine.isPaused = isPaused;
  setInterval(() => page.postMessage(machine!.view()), SHOW_MS);
  void listen(machine, own);
  return await machine.run();
}

/** Have the card look whenever the other end of its cable has sent something. */
async function listen(woken: PingingMachine, spot: ParkingSpot): Promise<never> {
  for (;;) {
    spot.arm();
    // The card looks behind this: it finds what was sent until now, and what is sent later ends the sleep.
    woken.wake();
    await (spot.sleepAsync() ?? new Promise((resolve) => setTimeout(resolve, 0)));
  }
}

globalThis.addEventListener('message', ({ data }: MessageEvent<ToMachine>) => {
  if (data.type === 'open') open(data).catch((error: unknown) => page.postMessage({ problem: String(error) }));
  else {
    ({ isPaused } = data);
    if (machine !== undefined) machine.isPaused = isPaused;
  }
});
