import { VirtioError } from '@ringwire/virtio-spec';
import { DeviceCheck } from './check-device.js';
import { checkPci } from './check-pci.js';
import { checkQueue } from './check-queue.js';
import { checkSteps } from './check-steps.js';
import { checkTables } from './check-tables.js';
import { loadSet } from './load-set.js';
import { DamagedSet } from './set-files.js';
import { Tally } from './tally.js';

export type SetResult =
  | { readonly outcome: 'agree' | 'disagree'; readonly tally: Tally }
  | { readonly outcome: 'damaged'; readonly reason: string };

/** Check one folder that holds an `expected.json`. */
export function checkSet(folder: string): SetResult {
  try {
    const { ring, tables, functions } = loadSet(folder);
    const tally = new Tally();
    if (functions !== undefined) checkPci(functions, tally);
    if (tables !== undefined) checkTables(tables, tally);
    if (ring !== undefined) {
      const reports = ring.queues.map((queue) => checkQueue(ring, queue, tally));
      // Made before the steps, which write into the set's pages.
      const device = new DeviceCheck(ring, reports, tally);
      checkSteps(ring, reports, tally);
      device.run();
    }
    return { outcome: tally.differences.length === 0 ? 'agree' : 'disagree', tally };
  } catch (error) {
    // A VirtioError says that what expected.json gives can be no state of a device, or its pages no memory.
    if (error instanceof DamagedSet || error instanceof VirtioError)
      return { outcome: 'damaged', reason: error.message };
    throw error;
  }
}
