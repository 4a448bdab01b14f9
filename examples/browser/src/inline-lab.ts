import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { LearningSwitch } from '@ringwire/net-backend';
import { NetDevice, VirtioMmio } from '@ringwire/virtio-device';
import { GUESTS_BYTES, type Lab, makeGuest, regionOf, STATIONS, scratchOf } from './lab.js';

/** Longest that a turn keeps the page, in ms: it has to be drawn as well. */
const TURN_MS = 8;
const BUDGET = 64;

/** Everything on the page: a device is stepped by whoever has it, and its interrupt is a callback. No memory is shared. */
export function openInlineLab(): Lab {
  const memory = HostMemory.wrap(new ArrayBuffer(GUESTS_BYTES));
  const switched = new LearningSwitch(2);
  const lines = [false, false];
  const devices = STATIONS.map(
    ({ mac }, index) =>
      new VirtioMmio({
        model: new NetDevice({
          memory,
          scratch: scratchOf(index),
          backend: switched.ports[index]!,
          mac,
          holdWhenFull: true,
        }),
        space: new GuestMemory(memory, [regionOf(index)]),
        interrupt: (level) => {
          lines[index] = level;
        },
      }),
  );
  const [first, second] = devices.map((device, index) =>
    makeGuest(index, memory, {
      read: (at, bytes) => device.read(at, bytes),
      write: (at, bytes, value) => device.write(at, bytes, value),
    }),
  );
  const guests = [first!, second!] as const;

  /** A turn of the host loop. @returns whether anything happened */
  const turn = (): boolean => {
    let isBusy = false;
    for (const [index, guest] of guests.entries()) {
      if (devices[index]!.device.step(BUDGET) > 0) isBusy = true;
      if (lines[index]) guest.driver.interrupt();
      if (guest.attend()) isBusy = true;
    }
    return isBusy;
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = (): void => {
    const end = performance.now() + TURN_MS;
    while (turn() && performance.now() < end);
    timer = setTimeout(run, 0);
  };
  run();
  return {
    mode: 'inline',
    guests,
    switched: () => ({
      forwarded: switched.ports.reduce((sum, { counters }) => sum + counters.forwarded, 0),
      flooded: switched.ports.reduce((sum, { counters }) => sum + counters.flooded, 0),
    }),
    watch: () => {
      for (const guest of guests) guest.watch();
    },
    close: async () => {
      clearTimeout(timer);
      for (const { driver } of guests) driver.close();
    },
  };
}
