import { DeviceThread } from '@ringwire/device-thread';
import { HostMemory } from '@ringwire/guest-memory';
import { CableSwitch } from './cable-switch.js';
import { GUESTS_BYTES, type Lab, makeGuest, regionOf, STATIONS, scratchOf } from './lab.js';

/** A worker for each device and one for the switch. They and the drivers, on the page, meet in shared memory alone. */
export async function openThreadLab(): Promise<Lab> {
  const memory = HostMemory.create(GUESTS_BYTES + CableSwitch.bytes(STATIONS.length));
  const wasm = memory.wasm!;
  const switched = new CableSwitch(memory, GUESTS_BYTES, STATIONS.length, new URL('switch-worker.js', import.meta.url));
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
            backend: { type: 'cable', ...switched.cables[index]!, end: 0 },
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
    switched: () => switched.counts,
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
      switched.close();
    },
  };
}
