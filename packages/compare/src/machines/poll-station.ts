import { FrameBurst, type FramePool, type PollNetDriver } from '@ringwire/guest-drivers';
import type { Station } from '../architecture.js';

const BURST = 32;

/** A guest with a poll-mode driver: no interrupts, frames in bursts. */
export class PollStation implements Station {
  readonly mac: Uint8Array;
  onFrame: (frame: Uint8Array) => void = () => {};
  private readonly driver: PollNetDriver;
  private readonly pool: FramePool;
  private readonly out: FrameBurst = new FrameBurst(BURST);
  private readonly back: FrameBurst = new FrameBurst(BURST);

  constructor(driver: PollNetDriver, pool: FramePool) {
    this.driver = driver;
    this.pool = pool;
    this.mac = driver.mac;
  }

  send(frame: Uint8Array): boolean {
    const { pool, out } = this;
    if (out.count === BURST) this.flush();
    if (out.count === BURST) return false;
    const buffer = pool.take();
    if (buffer < 0) return false;
    pool.memory.u8.set(frame, pool.dataOf(buffer));
    pool.setLength(buffer, frame.length);
    out.push(buffer, frame.length);
    return true;
  }

  flush(): void {
    const { driver, out } = this;
    const sent = driver.txBurst(0, out);
    out.frame.copyWithin(0, sent, out.count);
    out.length.copyWithin(0, sent, out.count);
    out.count -= sent;
  }

  turn(): boolean {
    const { driver, pool, back } = this;
    back.clear();
    const came = driver.rxBurst(0, back);
    for (let i = 0; i < came; i++) {
      const buffer = back.frame[i]!;
      const at = pool.dataOf(buffer);
      this.onFrame(pool.memory.u8.subarray(at, at + back.length[i]!));
      pool.put(buffer);
    }
    return came + driver.reclaim(0) > 0;
  }
}
