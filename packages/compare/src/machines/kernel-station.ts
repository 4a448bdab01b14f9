import { type EthernetDriver, SENT } from '@ringwire/guest-drivers';
import type { Station } from '../architecture.js';
import type { Ledger } from '../ledger.js';

/** What is asked of an interrupt-driven driver, whatever it drives. */
type KernelDriver = Pick<EthernetDriver, 'mac' | 'needsPoll' | 'sendBytes' | 'interrupt' | 'poll'>;

/** A guest with an interrupt-driven driver. */
export class KernelStation implements Station {
  onFrame: (frame: Uint8Array) => void = () => {};
  /** Set once the driver is up: it may be interrupted before. */
  driver: KernelDriver | undefined;
  private readonly ledger: Ledger;
  private readonly vectors: number[] = [];

  constructor(ledger: Ledger) {
    this.ledger = ledger;
  }

  get mac(): Uint8Array {
    return this.driver!.mac;
  }

  /** An interrupt message for the guest: it takes it in its next turn. */
  message(vector: number): void {
    this.vectors.push(vector);
  }

  send(frame: Uint8Array): boolean {
    return this.driver!.sendBytes(frame) === SENT.OK;
  }

  flush(): void {}

  turn(): boolean {
    const { driver, vectors, ledger } = this;
    if (driver === undefined || (vectors.length === 0 && !driver.needsPoll)) return false;
    for (const vector of vectors.splice(0)) {
      ledger.interrupts++;
      driver.interrupt(vector);
    }
    while (driver.needsPoll) driver.poll();
    return true;
  }
}
