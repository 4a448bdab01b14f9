import { Worker } from 'node:worker_threads';
import { type DeviceLink, DeviceThread } from '@ringwire/device-thread';
import { HostMemory } from '@ringwire/guest-memory';
import type { FeatureSet } from './feature-sets.js';
import { RAM, RAM_BYTES } from './guest.js';
import type { CapturedFrame, GuestResult, WorkerJob } from './guest-worker.js';

export interface SetResult {
  /** Answered echo requests, of PINGS. */
  readonly pings: number;
  /** Frames of the stream that arrived, each in its turn. */
  readonly frames: number;
  readonly seconds: number;
  readonly interrupts: number;
  /** Frames that arrived out of turn, or were given up by the driver. */
  readonly wrong: number;
  /** The first frames that each guest sent. */
  readonly sent: readonly [readonly CapturedFrame[], readonly CapturedFrame[]];
}

export const PINGS = 10;
const CAPTURED = 20;
const MACS = [Uint8Array.of(2, 0, 0, 0, 0, 1), Uint8Array.of(2, 0, 0, 0, 0, 2)];
const SCRATCH_BYTES = 0x4_0000;
/** Host memory of one guest: its RAM, and what its card works in. */
const GUEST_BYTES = RAM_BYTES + SCRATCH_BYTES;
const CABLE = { type: 'cable', at: 2 * GUEST_BYTES, bytes: 0x20_0000 } as const;
/** Made once: WebAssembly memories are few. */
const memory = HostMemory.create(2 * GUEST_BYTES + CABLE.bytes);

/**
 * Two guests with this set, in four threads that share memory and nothing else: a driver and a card each, and a cable
 * between the cards. Echo requests from the first one to the second, then a stream of numbered frames.
 * @param worker what a guest's thread runs: guest-worker.ts, built
 */
export async function runSet(set: FeatureSet, frames: number, worker: URL): Promise<SetResult> {
  memory.engine.fill(0, 0, memory.size);
  const shared = memory.wasm!;
  const cards = ([0, 1] as const).map((end) => {
    const host = end * GUEST_BYTES;
    const card = new DeviceThread({
      transport: set.transport,
      memory: shared,
      space: { type: 'regions', regions: [{ gpa: RAM, size: RAM_BYTES, host }] },
      model: {
        type: 'net',
        mac: [...MACS[end]!],
        scratch: host + RAM_BYTES,
        backend: { ...CABLE, end },
        holdWhenFull: true,
      },
    });
    if (set.transport === 'pci') assignBars(card.link);
    return card;
  });
  const guests = (['first', 'second'] as const).map((role, end) => {
    const job: WorkerJob = {
      memory: shared,
      host: end * GUEST_BYTES,
      card: cards[end]!.link.place,
      features: set.features,
      role,
      macs: MACS,
      pings: PINGS,
      frames,
      captured: CAPTURED,
    };
    return new Worker(worker, { workerData: job });
  });
  try {
    const [first, second] = (await Promise.all(guests.map(resultOf))) as [GuestResult, GuestResult];
    return {
      pings: first.pings,
      frames: second.frames,
      seconds: first.seconds,
      interrupts: second.interrupts,
      wrong: first.wrong + second.wrong,
      sent: [first.sent, second.sent],
    };
  } finally {
    await Promise.all([...guests.map((guest) => guest.terminate()), ...cards.map((card) => card.close())]);
  }
}

function resultOf(guest: Worker): Promise<GuestResult> {
  return new Promise((resolve, reject) => {
    guest.once('message', resolve);
    guest.once('error', reject);
    guest.once('exit', (code) => reject(new Error(`a guest ended with code ${code}, and said nothing`)));
  });
}

/** What firmware does: the card's registers get their address. */
function assignBars(link: DeviceLink): void {
  link.configWrite(0x10, 4, 0xfe00_0000);
  link.configWrite(0x14, 4, 0);
}
