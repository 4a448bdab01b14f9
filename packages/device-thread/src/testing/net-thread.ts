import {
  guestDma,
  isBreakdown,
  type NetDriver,
  type NetSetup,
  openMmioTransport,
  openNetDriver,
  openPciTransport,
} from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { DeviceLink } from '../device-link.js';
import type { ThreadConfig } from '../thread-config.js';

export type TransportName = ThreadConfig['transport'];
export const TRANSPORTS = [['mmio'] as const, ['pci'] as const];

/** 02:00:00:00:00:01. */
export const MAC: readonly number[] = [2, 0, 0, 0, 0, 1];

/** The guest's RAM, and behind it what belongs to the host. */
export const RAM = { gpa: 0x1_0000_0000, size: 0x180_0000, host: 0 } as const;
const SCRATCH = 0x180_0000;
const WAITING = { at: 0x190_0000, bytes: 0x40_0000 } as const;

/** Memory for a network device and its driver. */
export const netMemory = (): HostMemory => HostMemory.create(0x200_0000);

/** A network device whose frames come back. */
export function loopbackThread(transport: TransportName, memory: HostMemory): ThreadConfig {
  return {
    transport,
    memory: memory.wasm!,
    space: { type: 'regions', regions: [RAM] },
    model: {
      type: 'net',
      mac: MAC,
      scratch: SCRATCH,
      backend: { type: 'loopback', ...WAITING },
      holdWhenFull: true,
    },
  };
}

/** What firmware does: BARs at addresses. */
export function assignBars(link: DeviceLink): void {
  for (const [at, value] of [
    [0x10, 0xfe00_0000],
    [0x14, 0],
    [0x18, 0],
    [0x1c, 1],
  ] as const)
    link.configWrite(at, 4, value);
}

/** A driver on this thread, for a device on another, whose interrupts it takes. */
export class NetSide {
  readonly link: DeviceLink;
  readonly driver: NetDriver;
  private heard: NetDriver | undefined = undefined;

  /** @param host where the guest's RAM lies */
  constructor(
    link: DeviceLink,
    memory: HostMemory,
    events: NetSetup['events'],
    setup: Partial<NetSetup> = {},
    host: number = RAM.host,
  ) {
    const message = (_low: number, _high: number, data: number): void => this.heard?.interrupt(data);
    const level = (asserted: boolean): void => {
      if (asserted) this.heard?.interrupt();
    };
    link.interrupts = { message, level };
    this.link = link;
    const isPci = link.place.transport === 'pci';
    if (isPci) assignBars(link);
    const transport = isPci ? openPciTransport(link) : openMmioTransport(link);
    if (isBreakdown(transport)) throw new Error(transport.message);
    const driver = openNetDriver({
      transport,
      dma: guestDma(new GuestMemory(memory, [{ ...RAM, host }]), new PageAllocator(RAM.gpa, RAM.size)),
      now: () => performance.now(),
      messages: Array.from({ length: 4 }, (_, vector) => ({ addressLo: 0xfee0_0000, addressHi: 0, data: vector })),
      events,
      ...setup,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
    this.heard = driver;
  }

  /** Do what is due, or sleep until interrupts come and do what they ask for. @returns false when none came */
  attend(limitMs = 10_000): boolean {
    if (this.poll()) return true;
    const came = this.link.waitForInterrupt(limitMs) > 0;
    this.poll();
    return came;
  }

  private poll(): boolean {
    const isDue = this.driver.needsPoll;
    while (this.driver.needsPoll) this.driver.poll();
    return isDue;
  }
}

/** A frame of 60 to 1514 bytes for this station that tells its number in every part. */
export function numberedFrame(sequence: number): Uint8Array {
  const frame = new Uint8Array(60 + ((Math.imul(sequence, 2_654_435) >>> 0) % 1455));
  frame.set([...MAC, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
  const view = new DataView(frame.buffer);
  view.setUint32(14, sequence);
  let value = Math.imul(sequence + 1, 0x9e37_79b1) >>> 0;
  for (let at = 18; at + 4 <= frame.length; at += 4) {
    view.setUint32(at, value);
    value = (Math.imul(value, 1_664_525) + 1_013_904_223) >>> 0;
  }
  return frame;
}
