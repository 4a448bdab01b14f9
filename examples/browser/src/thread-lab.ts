import { DeviceThread } from '@ringwire/device-thread';
import { HostMemory } from '@ringwire/guest-memory';
import { GUESTS_BYTES, type Lab, makeGuest, regionOf, STATIONS, scratchOf } from './lab.js';
import type { SwitchOrder } from './switch-worker.js';

const CABLE_BYTES = 0x10_0000;
const CABLE_FRAMES = 512;

/** A worker for each device and one for the switch. They and the drivers, on the page, meet in shared memory alone. */
export async function openThreadLab(): Promise<Lab> {
  const memory = HostMemory.create(GUESTS_BYTES + 2 * CABLE_BYTES);
  const wasm = memory.wasm!;
  const cables = STATIONS.map((_, index) => ({
    at: GUESTS_BYTES + index * CABLE_BYTES,
    bytes: CABLE_BYTES,
    frames: CABLE_FRAMES,
  }));
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const order: SwitchOrder = { memory: wasm, cables, counts };
  const switching = new Worker(new URL('switch-worker.js', import.meta.url), { type: 'module' });
  switching.postMessage(order);
  const threads = STATIONS.map(
    ({ mac }, index) =>
      new DeviceThread(
        {
          transport: 'mmio',
          memory: wasm,
          space: { type: 'regions', regions: [regionOf(index)] },
          model: {
            type: 'net',
            mac: [...mac],
            scratch: scratchOf(index),
            backend: { type: 'cable', ...cables[index]!, end: 0 },
            holdWhenFull: true,
          },
        },
        { workerUrl: new URL('device-worker.js', import.meta.url) },
      ),
  );
  // The page's main thread may not sleep: no register is touched before the workers are there.
  await Promise.all(threads.map(({ ready }) => ready));
  const [first, second] = threads.map(({ link }, index) => {
    const guest = makeGuest(index, memory, link);
    link.interrupts = {
      level: (asserted) => {
        if (asserted) guest.driver.interrupt();
        guest.attend();
      },
    };
    if (!link.listen()) throw new Error('this browser has no Atomics.waitAsync');
    return guest;
  });
  const guests = [first!, second!] as const;
  return {
    mode: 'threads',
    guests,
    switched: () => ({ forwarded: counts[0]!, flooded: counts[1]! }),
    sleeps: () => threads.reduce((sum, { link }) => sum + link.deviceSleeps, 0),
    watch: () => {
      for (const guest of guests) {
        guest.watch();
        guest.attend();
      }
    },
    close: async () => {
      for (const { driver } of guests) driver.close();
      await Promise.all(threads.map((thread) => thread.close()));
      switching.terminate();
    },
  };
}
