import { FramePool, openNetDriver, openPollDriver, type Transport } from '@ringwire/guest-drivers';
import type { Rings, Station } from '../architecture.js';
import type { Ledger } from '../ledger.js';
import { KernelStation } from './kernel-station.js';
import { Lab, MESSAGES } from './lab.js';
import { opened } from './opened.js';
import { PollStation } from './poll-station.js';

/** Which driver a guest has: one that is interrupted, or one that polls. */
export type DriverKind = 'kernel' | 'poll';

const QUEUE_SIZE = 256;
const POOL_BUFFERS = 1024;

/**
 * Bring a virtio driver up in a guest: the same two, whatever lies behind their transport.
 * @param connect the transport; what it is given takes the device's interrupts
 */
export function virtioGuest(
  lab: Lab,
  guest: number,
  rings: Rings,
  kind: DriverKind,
  ledger: Ledger,
  connect: (interrupt: (vector: number) => void) => Transport,
): Station {
  const dma = lab.dma(guest);
  const features = Lab.features(rings);
  if (kind === 'poll') {
    const transport = connect(() => ledger.interrupts++);
    const pool = new FramePool(dma, { buffers: POOL_BUFFERS });
    return new PollStation(opened(openPollDriver({ transport, dma, pool, features, queueSize: QUEUE_SIZE })), pool);
  }
  const station = new KernelStation(ledger);
  const transport = connect((vector) => station.message(vector));
  station.driver = opened(
    openNetDriver({
      transport,
      dma,
      messages: MESSAGES,
      features,
      queueSize: QUEUE_SIZE,
      now: () => 0,
      events: { frame: (frame) => station.onFrame(frame.bytes()) },
    }),
  );
  return station;
}
