import { DeviceLink, type LinkPlace } from '@ringwire/device-thread';
import {
  type DmaMemory,
  type EthernetDriver,
  isBreakdown,
  type MsixMessage,
  openNetDriver,
  openPciTransport,
  SENT,
} from '@ringwire/guest-drivers';
import { openIxgbeVf } from '@ringwire/guest-drivers/ixgbe';
import { openVendorBDriver } from '@ringwire/guest-drivers/vendor-b';
import type { FunctionKind } from 'bench/card';

const MESSAGE = { addressLo: 0xfee0_0000, addressHi: 0 };
const MESSAGES: [MsixMessage, MsixMessage, MsixMessage] = [
  { ...MESSAGE, data: 0 },
  { ...MESSAGE, data: 1 },
  { ...MESSAGE, data: 2 },
];
const QUEUE_SIZE = 64;
/** Looks at a register while the card, or the host's driver, is at work. */
const PATIENCE = { tries: 2000, pause: (): void => void Atomics.wait(PAUSE, 0, 0, 1) };
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/** A guest's driver on its function, which it reaches through shared memory alone. */
export class Guest {
  received = 0;
  private readonly driver: EthernetDriver;
  private readonly link: DeviceLink;

  /** @throws Error when the function does not do */
  constructor(kind: FunctionKind, place: LinkPlace, dma: DmaMemory, mac: Uint8Array) {
    const link = new DeviceLink(place, { patienceMs: 60_000 });
    this.link = link;
    this.driver = opened(kind, link, dma, mac, () => this.received++);
    link.interrupts = { message: (_low, _high, data) => this.driver.interrupt(data) };
    this.attend(0);
  }

  /** @returns false when the ring is full */
  send(frame: Uint8Array): boolean {
    return this.driver.sendBytes(frame) === SENT.OK;
  }

  /** Do what interrupts ask for; without any, sleep until there is one. @param limitMs longest sleep */
  attend(limitMs: number): void {
    if (!this.driver.needsPoll) this.link.waitForInterrupt(limitMs);
    while (this.driver.needsPoll) this.driver.poll();
  }
}

function opened(
  kind: FunctionKind,
  link: DeviceLink,
  dma: DmaMemory,
  mac: Uint8Array,
  frame: () => void,
): EthernetDriver {
  const now = (): number => performance.now();
  const events = { frame };
  const common = { access: link, dma, events, patience: PATIENCE };
  if (kind === '82599') return usable(openIxgbeVf({ ...common, mac, now, messages: MESSAGES, queueSize: QUEUE_SIZE }));
  if (kind === 'vendor-b')
    return usable(openVendorBDriver({ ...common, messages: [MESSAGES[0], MESSAGES[1]], entries: QUEUE_SIZE }));
  const transport = usable(openPciTransport(link));
  return usable(openNetDriver({ transport, dma, events, now, messages: MESSAGES, queueSize: QUEUE_SIZE }));
}

function usable<T extends object>(driver: T): Exclude<T, { readonly code: number }> {
  if (isBreakdown(driver)) throw new Error(driver.message);
  return driver as Exclude<T, { readonly code: number }>;
}
