import { workerData } from 'node:worker_threads';
import { HostMemory, IdentitySpace, type WasmMemory } from '@ringwire/guest-memory';
import { EntropyModel } from '../entropy-model.js';
import { runDeviceThread, threadedMmio, threadedPci } from '../thread/device-thread.js';
import { ThreadEvents } from '../thread/thread-events.js';
import type { ThreadPlace } from '../thread/thread-words.js';
import { VirtioMmio } from '../virtio-mmio.js';
import { VirtioPci } from '../virtio-pci.js';

export interface EntropyOrder {
  readonly transport: 'mmio' | 'pci';
  readonly memory: WasmMemory;
  readonly place: ThreadPlace;
  readonly spinBudget: number;
}

const { transport, memory, place, spinBudget }: EntropyOrder = workerData;
const space = new IdentitySpace(HostMemory.adopt(memory));
const host = new ThreadEvents(place);
// Each buffer is filled with the number of those before it.
let filled = 0;
const model = new EntropyModel((bytes) => bytes.fill(filled++));
const interrupt = (level: boolean): void => host.setIntx(level);
const threaded =
  transport === 'mmio'
    ? threadedMmio(new VirtioMmio({ model, space, interrupt }))
    : threadedPci(new VirtioPci({ model, space, host }));
runDeviceThread(place, threaded, { spinBudget });
