import { LearningSwitch } from '@ringwire/net-backend';
import type { MachineLab } from './machine-lab.js';
import { type MachineOrder, PingingMachine } from './pinging-machine.js';

/** Both machines and their switch on the page, which they share with everything else there. @param failed hears why one ended */
export async function openInlineMachines(
  orders: readonly MachineOrder[],
  failed: (error: unknown) => void,
): Promise<MachineLab> {
  const { ports } = new LearningSwitch(orders.length);
  const machines: PingingMachine[] = [];
  for (const order of orders) machines.push(await PingingMachine.open(order, ports[order.index]!));
  for (const machine of machines) machine.run().catch(failed);
  return {
    views: () => machines.map((machine) => machine.view()),
    switched: () => ({
      forwarded: ports.reduce((sum, { counters }) => sum + counters.forwarded, 0),
      flooded: ports.reduce((sum, { counters }) => sum + counters.flooded, 0),
    }),
    pause: (isPaused) => {
      for (const machine of machines) machine.isPaused = isPaused;
    },
  };
}
