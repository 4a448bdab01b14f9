import { ParkingSpot } from '@ringwire/device-thread';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { type CablePlace, cableSpotAt, DELIVERED, LearningSwitch, SharedCable } from '@ringwire/net-backend';

/** What the switch's worker is told, once. */
export interface SwitchOrder {
  readonly memory: WasmMemory;
  /** The cables of its ports: it is end 1 of each. */
  readonly cables: readonly CablePlace[];
  /** A word for frames forwarded and one for those flooded, which the page reads. */
  readonly counts: Int32Array;
}

const BUDGET = 64;
const FULL_MS = 1;

/** A port of the switch: the device's end of its cable is another thread's. */
interface Port {
  readonly cable: SharedCable;
  readonly flush: () => void;
  /** Where this thread sleeps until a frame comes. */
  readonly spot: ParkingSpot;
  /** The sleep that has not ended. */
  sleep: Promise<unknown> | undefined;
}

/** A switch in a thread of its own, whose ports are cables to the threads of devices. */
async function serveSwitch({ memory: shared, cables, counts }: SwitchOrder): Promise<never> {
  const memory = HostMemory.adopt(shared);
  const learning = new LearningSwitch(cables.length);
  let isHeld = false;
  const ports = cables.map((place, index): Port => {
    const spotOf = (end: number): ParkingSpot => new ParkingSpot(memory.i32, cableSpotAt(place, end) >> 2);
    const device = spotOf(0);
    const cable = new SharedCable(memory, place, 1, () => device.wake());
    const port = learning.ports[index]!;
    const flush = (): void => port.flush?.();
    port.attach({
      get offloads() {
        return cable.offloads;
      },
      receive: (frame) => cable.receive(frame),
      flush: () => cable.flush(),
    });
    cable.attach({
      get offloads() {
        return port.offloads;
      },
      receive: (frame) => {
        const delivered = port.receive(frame);
        if (delivered === DELIVERED.FULL) isHeld = true;
        return delivered;
      },
      flush,
    });
    cable.running(true);
    return { cable, flush, spot: spotOf(1), sleep: undefined };
  });
  for (;;) {
    // Publish first, look afterwards: a device's thread writes a frame down, then looks whether this one sleeps.
    let moved = 0;
    isHeld = false;
    for (const { spot } of ports) spot.arm();
    for (const { cable, flush } of ports) {
      moved += cable.pump(BUDGET);
      flush();
    }
    counts[0] = learning.ports.reduce((sum, { counters }) => sum + counters.forwarded, 0);
    counts[1] = learning.ports.reduce((sum, { counters }) => sum + counters.flooded, 0);
    if (moved === 0) await asleep(ports, isHeld);
    for (const { spot } of ports) spot.disarm();
  }
}

/** Until a frame comes at any port, or for a moment when one is held for which there was no room. */
async function asleep(ports: readonly Port[], isHeld: boolean): Promise<void> {
  if (isHeld) return new Promise((resolve) => setTimeout(resolve, FULL_MS));
  for (const port of ports) {
    // A sleep that goes on is ended by the next wake-up: there is one for each port, however often this is called.
    port.sleep ??= port.spot.sleepAsync()?.finally(() => {
      port.sleep = undefined;
    });
    if (port.sleep === undefined) return;
  }
  await Promise.race(ports.map(({ sleep }) => sleep));
}

globalThis.addEventListener('message', ({ data }: MessageEvent<SwitchOrder>) => void serveSwitch(data), { once: true });
