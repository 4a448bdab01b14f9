import {
  type Breakdown,
  FrameBurst,
  FramePool,
  isBreakdown,
  openPollDriver,
  PLAIN_POLL_FEATURES,
  type PollNetDriver,
} from '@ringwire/guest-drivers';
import { featureWords, VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { DriverRefusal, GuestDriver, GuestMachine } from '../driver-module.js';
import { sent } from './kernel.js';

/** Without interrupts, frames in bursts: `PollNetDriver` of `@ringwire/guest-drivers`. */
export const name = 'poll-mode virtio-net';

const BURST = 32;
const BUFFERS = 400;
/** Bytes of a frame where the device spreads long ones over buffers, and where it does not. */
const SMALL = 2176;
const LARGE = 9216;
const FEATURES = featureWords([
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.ORDER_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.IN_ORDER,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.NOTIFICATION_DATA,
  VIRTIO_F.NOTIF_CONFIG_DATA,
  VIRTIO_NET_F.MRG_RXBUF,
  ...PLAIN_POLL_FEATURES.map((feature) => VIRTIO_NET_F[feature]),
]);

/** Bring the driver up. */
export function openDriver(machine: GuestMachine): GuestDriver | DriverRefusal {
  const life = openLife(machine);
  return isBreakdown(life) ? { refused: life.message } : new PollDriver(machine, life);
}

/** From reset to reset. */
interface Life {
  readonly driver: PollNetDriver;
  readonly pool: FramePool;
}

function openLife(machine: GuestMachine): Life | Breakdown {
  try {
    return openWith(machine, SMALL);
  } catch (error) {
    // Without mergeable buffers each has to hold the longest frame.
    if (!(error instanceof VirtioError) || error.field !== 'dataBytes') throw error;
    return openWith(machine, LARGE);
  }
}

function openWith(machine: GuestMachine, dataBytes: number): Life | Breakdown {
  const { transport, dma } = machine;
  const pool = new FramePool(dma, { buffers: BUFFERS, dataBytes });
  const patience = { tries: 1000, pause: () => machine.pause() };
  let driver: PollNetDriver | Breakdown | undefined;
  try {
    driver = openPollDriver({ transport, dma, pool, features: FEATURES, pairs: 2, patience, now: () => machine.now() });
  } finally {
    if (driver === undefined || isBreakdown(driver)) pool.close();
  }
  return isBreakdown(driver) ? driver : { driver, pool };
}

class PollDriver implements GuestDriver {
  isBroken = false;
  private readonly machine: GuestMachine;
  private life: Life;
  private readonly out: FrameBurst = new FrameBurst(BURST);
  private readonly back: FrameBurst = new FrameBurst(BURST);

  constructor(machine: GuestMachine, life: Life) {
    this.machine = machine;
    this.life = life;
  }

  get mac(): Uint8Array {
    return this.life.driver.mac;
  }

  get isLinkUp(): boolean {
    return this.life.driver.isLinkUp();
  }

  transmit(frame: Uint8Array): boolean {
    const { out, life } = this;
    const { driver, pool } = life;
    if (this.isBroken) return false;
    driver.reclaim(0);
    const buffer = pool.fill(frame);
    if (buffer < 0) return false;
    out.clear();
    out.push(buffer, frame.length);
    const isSent = sent(() => driver.txBurst(0, out) === 1);
    if (!isSent) pool.put(buffer);
    return isSent;
  }

  poll(): boolean {
    if (this.isBroken) return false;
    const { back, machine, life } = this;
    const { driver, pool } = life;
    driver.pollCommands();
    back.clear();
    let came = 0;
    for (let pair = 0; pair < driver.pairs; pair++) came += driver.rxBurst(pair, back, BURST - back.count);
    for (let i = 0; i < came; i++) {
      machine.receive(pool.read(back.frame[i]!));
      pool.put(back.frame[i]!);
    }
    return came + driver.reclaim(0) > 0;
  }

  watch(): void {
    if (this.isBroken || this.life.driver.check() === undefined) return;
    // A device that is not to be believed is begun anew, once it has let go of its buffers.
    const problem = this.stopLife();
    const next = problem ?? openLife(this.machine);
    if (isBreakdown(next)) this.isBroken = true;
    else this.life = next;
  }

  stop(): void {
    this.stopLife();
  }

  private stopLife(): Breakdown | undefined {
    const problem = this.life.driver.close();
    if (problem === undefined) this.life.pool.close();
    return problem;
  }
}
