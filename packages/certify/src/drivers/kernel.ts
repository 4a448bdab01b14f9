import { isBreakdown, type NetDriver, openNetDriver, SENT } from '@ringwire/guest-drivers';
import { VirtioError } from '@ringwire/virtio-spec';
import type { DriverRefusal, GuestDriver, GuestMachine } from '../driver-module.js';

/** Interrupt-driven, as a kernel's: `NetDriver` of `@ringwire/guest-drivers`. */
export const name = 'kernel-style virtio-net';

/** Bring the driver up. */
export function openDriver(machine: GuestMachine): GuestDriver | DriverRefusal {
  const { transport, dma, messages } = machine;
  const driver = openNetDriver({
    transport,
    dma,
    messages,
    pairs: 2,
    now: () => machine.now(),
    patience: { tries: 1000, pause: () => machine.pause() },
    events: { frame: (frame) => machine.receive(frame.bytes()) },
  });
  return isBreakdown(driver) ? { refused: driver.message } : new KernelDriver(driver);
}

class KernelDriver implements GuestDriver {
  private readonly driver: NetDriver;

  constructor(driver: NetDriver) {
    this.driver = driver;
  }

  get mac(): Uint8Array {
    return this.driver.mac;
  }

  get isLinkUp(): boolean {
    return this.driver.isLinkUp;
  }

  get isBroken(): boolean {
    return this.driver.state === 'broken';
  }

  transmit(frame: Uint8Array): boolean {
    return sent(() => this.driver.sendBytes(frame) === SENT.OK);
  }

  interrupt(vector: number): void {
    this.driver.interrupt(vector);
  }

  poll(): boolean {
    const due = this.driver.needsPoll;
    this.driver.poll();
    return due;
  }

  watch(): void {
    this.driver.watch();
  }

  suspend(): void {
    this.driver.suspend();
  }

  resume(): void {
    this.driver.resume();
  }

  restart(): void {
    this.driver.restartPair(0);
  }

  stop(): void {
    this.driver.close();
  }
}

/** A frame that is longer than the device takes is the sender's mistake, and an error there. */
export function sent(send: () => boolean): boolean {
  try {
    return send();
  } catch (error) {
    if (error instanceof VirtioError) return false;
    throw error;
  }
}
