import { DeviceLink, type LinkPlace } from '@ringwire/device-thread';
import {
  guestDma,
  isBreakdown,
  type NetDriver,
  type NetEvents,
  openMmioTransport,
  openNetDriver,
  openPciTransport,
} from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator, type WasmMemory } from '@ringwire/guest-memory';

/** Where RAM is for the guest. */
export const RAM = 0x1_0000_0000;
export const RAM_BYTES = 0x80_0000;
/** One vector per queue and one for configuration. */
const MESSAGES = [0, 1, 2, 3].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));
/** Nothing is lost between the guests: who waits so long for the other one waits in vain. */
const PATIENCE_MS = 120_000;

/** What a guest is given: shared memory, and where in it its RAM and its card's registers are. */
export interface GuestJob {
  readonly memory: WasmMemory;
  /** Where RAM is for the host. */
  readonly host: number;
  readonly card: LinkPlace;
  /** Feature words to choose from. */
  readonly features: Uint32Array;
}

/** A guest in a thread of its own: a driver, which reaches its card through memory alone. */
export class Guest {
  readonly driver: NetDriver;
  readonly memory: HostMemory;
  private readonly link: DeviceLink;

  constructor({ memory: shared, host, card, features }: GuestJob, frame: NetEvents['frame']) {
    const memory = HostMemory.adopt(shared);
    const link = new DeviceLink(card);
    const ram = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host }]);
    const transport = card.transport === 'pci' ? openPciTransport(link) : openMmioTransport(link);
    if (isBreakdown(transport)) throw new Error(transport.message);
    const driver = openNetDriver({
      transport,
      dma: guestDma(ram, new PageAllocator(RAM, RAM_BYTES)),
      features,
      messages: MESSAGES,
      now: () => performance.now(),
      events: { frame },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    link.interrupts = {
      message: (_low, _high, data) => driver.interrupt(data),
      level: (asserted) => asserted && driver.interrupt(),
    };
    this.memory = memory;
    this.link = link;
    this.driver = driver;
  }

  /** Do what interrupts asked for; without any, sleep until there is one. */
  attend(): void {
    if (!this.attendFor(PATIENCE_MS)) throw new Error(`no interrupt came in ${PATIENCE_MS} ms`);
  }

  /** The same. @returns false when nothing came in time */
  attendFor(limitMs: number): boolean {
    if (!this.driver.needsPoll && this.link.waitForInterrupt(limitMs) === 0) return false;
    while (this.driver.needsPoll) this.driver.poll();
    return true;
  }
}
