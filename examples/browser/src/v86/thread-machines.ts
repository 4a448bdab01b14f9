import { HostMemory } from '@ringwire/guest-memory';
import { CableSwitch } from '../cable-switch.js';
import type { MachineLab } from './machine-lab.js';
import type { FromMachine, ToMachine } from './machine-worker.js';
import type { MachineOrder, MachineView } from './pinging-machine.js';

/** A worker for each machine and one for the switch; cables in shared memory lead from one to the other. */
export function openThreadMachines(orders: readonly MachineOrder[], failed: (error: unknown) => void): MachineLab {
  const memory = HostMemory.create(CableSwitch.bytes(orders.length));
  const switched = new CableSwitch(memory, 0, orders.length, new URL('../switch-worker.js', import.meta.url));
  const views: (MachineView | undefined)[] = orders.map(() => undefined);
  const workers = orders.map((order) => {
    const worker = new Worker(new URL('machine-worker.js', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data }: MessageEvent<FromMachine>) => {
      if ('problem' in data) failed(data.problem);
      else views[order.index] = data;
    });
    worker.addEventListener('error', ({ message }) => failed(message));
    const cable = switched.cables[order.index]!;
    worker.postMessage({ type: 'open', order, memory: memory.wasm!, cable } satisfies ToMachine);
    return worker;
  });
  return {
    views: () => views,
    switched: () => switched.counts,
    pause: (isPaused) => {
      for (const worker of workers) worker.postMessage({ type: 'pause', isPaused } satisfies ToMachine);
    },
  };
}
