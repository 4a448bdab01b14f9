import { type Breakdown, isBreakdown, openPciTransport, type PciTransport } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import { Arrivals } from './arrivals.js';
import type { CasePlan } from './case-plan.js';
import { type NetFrames, netFrames } from './net-layout.js';
import type { NetLink } from './net-link.js';

/** What the drivers of network cases have in common. */
export abstract class NetDriverSide {
  /** Number of the next frame: 32 bits that wrap. */
  next = 0;
  /** What came back, in cases in which something does. */
  readonly arrivals: Arrivals;
  /** Times that the driver slept in vain although frames lay ready. */
  missed = 0;
  /** Interrupts so far. */
  abstract readonly interrupts: number;
  protected readonly link: NetLink;
  protected readonly frames: NetFrames;
  protected readonly lengths: Uint32Array;
  /** Which length the next frame has. */
  protected slot = 0;

  constructor(plan: CasePlan, memory: HostMemory, link: NetLink) {
    this.link = link;
    this.frames = netFrames(plan);
    this.lengths = this.frames.lengths;
    this.arrivals = new Arrivals(memory, this.frames);
  }

  /** Send so many frames, and have each buffer back. */
  abstract send(frames: number): void;
  /** Send so many, and have every frame back. */
  abstract loop(frames: number): void;
  /** Flip a bit in what is sent from here on. */
  abstract damage(): void;
  /** @throws when the device is not to be believed any more */
  protected abstract check(): void;

  /** Send one frame after the other, the next when the one before is back. @param samples filled with round trips in ns */
  ping(samples: Float64Array): void {
    for (let i = 0; i < samples.length; i++) {
      const before = performance.now();
      this.loop(1);
      samples[i] = (performance.now() - before) * 1e6;
    }
  }
}

export function openedTransport(link: Pick<NetLink, 'access'>): PciTransport {
  return opened(openPciTransport(link.access));
}

/** @throws when a driver did not take its device */
export function opened<T extends object>(driver: T | Breakdown): T {
  if (isBreakdown(driver)) throw new Error(driver.message);
  return driver;
}
