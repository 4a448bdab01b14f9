/** A driver in a thread of its own that resets a device and says what its status reads: see `device-death.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { DeviceLink, type LinkPlace } from '../device-link.js';

const link = new DeviceLink(workerData as LinkPlace);
const before = link.read(0x070, 4);
link.write(0x070, 4, 0);
parentPort?.postMessage({ before, after: link.read(0x070, 4), magic: link.read(0x000, 4) });
