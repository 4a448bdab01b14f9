/** A worker that serves an entropy device by itself: see `serve-device.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory, IdentitySpace, type WasmMemory } from '@ringwire/guest-memory';
import { EntropyModel } from '@ringwire/virtio-device';
import type { LinkPlace } from '../device-link.js';
import { serveDevice } from '../serve-device.js';

const { place, memory } = workerData as { place: LinkPlace; memory: WasmMemory };
const space = new IdentitySpace(HostMemory.adopt(memory));
const model = new EntropyModel((bytes) => bytes.fill(0x5a));
serveDevice(place, { model, space, budget: 16, spinTurns: 100, running: () => parentPort?.postMessage('running') });
parentPort?.postMessage('closed');
